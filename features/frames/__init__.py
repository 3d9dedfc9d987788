"""Waveform to frames of features.

mfcc.py     13 MFCC and 80 log-mel energies, float32 [T, 93]
log_mel.py  Whisper's features, float32 [T, 80]
"""
