"""Child processes that end with their parent. Uses the standard library only; `deploy` uses it too."""
