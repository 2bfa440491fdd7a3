"""Tests of `server/`, most of them against the real tritonserver."""
