"""Batches for training and evaluation.

batches.py     read from shards, put into buckets of like length
augment.py     masks frames and mel bands
recordings.py  features made while training asks for them, without shards
subsets.py     parts of the training set: nested, and the same on every machine
"""
