"""What a trained run hears in any recording, of any length.

windows.py   a long recording as windows that overlap, and what is kept of each
pieces.py    pieces with times, and words with theirs
listener.py  the model: samples in, pieces out
formats.py   text, JSON, subtitles
"""
