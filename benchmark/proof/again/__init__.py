"""The child process of a verification: evaluates checkpoints again, trains an epoch again. It alone loads TensorFlow.

python -m benchmark.proof.again < request.json      # a line of JSON for each result; benchmark.proof.child reads them

weights.py  a checkpoint evaluated again
epoch.py    an epoch trained again from the checkpoint before it, or from the seed
"""
