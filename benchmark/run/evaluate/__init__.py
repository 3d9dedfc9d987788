"""Sentences and error rates of a model.

evaluation.py  transcribes a set of utterances
decoding.py    worker processes that decode
accuracy.py    error rates
final.py       a run's checkpoints on every dev and test subset
"""
