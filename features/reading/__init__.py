"""Batches for training and evaluation.

batches.py     read from shards, put into buckets of similar length
augment.py     masks frames and mel bands
recordings.py  features made on demand during training, without shards
subsets.py     parts of the training set: nested, and the same on every machine
"""
