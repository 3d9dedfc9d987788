"""Waveform to frames of features.

filters.py  the window and the mel scales
mfcc.py     13 MFCC and 80 log-mel energies, float32 [T, 93]
log_mel.py  80 normalised log-mel energies, as Whisper takes them, float32 [T, 80]
graph.py    both as graphs of TensorFlow's operations, for models that leave the suite
kinds.py    the table of front ends, by name
"""

USUAL = "mfcc13-logmel80"
NAMES = (USUAL, "logmel80-normalised")  # of kinds.FRONT_ENDS, for who only asks which there are
