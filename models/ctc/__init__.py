"""CTC: the loss, and decoders that turn logits into sentences.

loss.py              the loss and its kernels
on_cpu.py            the one for CPUs
forward_backward.py  the one for GPUs
decoders.py          greedy, dictionary, language model: which one, with which settings
search.py            the beam search, with a dictionary or a language model, and the exact scores
beam.py              its steps, compiled, deterministic
lexicon.py           the words that it knows, as a tree
language_model.py    what KenLM says of a word and of a sentence
alignment.py         when a sentence was said, by the logits
peer.py              pyctcdecode's search
"""
