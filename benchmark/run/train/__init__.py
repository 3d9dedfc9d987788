"""The TensorFlow side of every phase.

trainer.py     performs phases
host.py        what one machine does of them
input.py       batches for a training step, cut for the replicas
step.py        the training step
optimisers.py  the optimisers that recipes name
swap.py        exchanges the training model and the evaluation model
"""
