"""CTC: the loss, and decoders that turn logits into sentences.

loss.py              the loss and its kernels
forward_backward.py  the one for GPUs
decoders.py          greedy, dictionary, language model
search.py            the dictionary's beam search: compiled, deterministic
"""
