"""What people use today, as small honest programs, each run in an environment of its own.

They know nothing of the project: a graph, its tokenizer and labels come with the variable EMOTION_PEER
(see `classifier.PeerSettings`). All answer `POST /predict` with `{"text": …}` or `{"texts": […]}`.
"""
