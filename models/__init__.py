"""Frames in, sentences out: the acoustic model, its recipes, the CTC loss, and decoders.

    learner.py           what the trainer asks of a model, and the table of models
    recipes.py           every difference between the recipes, a field each
    deepspeech.py        frozen Config; build(config) -> keras.Model; output_frames
    lstm.py              the recurrent layer and its fast paths
    recurrence.py        its loop over frames on a CPU
    ctc.py               the loss and its kernels
    forward_backward.py  the one for GPUs
    kernels.py           the choice of a kernel
    masks.py             which places of a padded batch are real
    beam_search.py       the dictionary's beam search: compiled, deterministic
    decoders.py          greedy, dictionary, language model
    whisper/             Whisper: its network, published weights, tokens, greedy decoding

This package imports `features.text` and nothing else of the project.
"""
