"""Frames in, sentences out: acoustic models, each in its folder, the CTC loss, and decoders.

    learner.py     what the trainer asks of a model
    table.py       the models, by name
    portable.py    what a trained model becomes outside of the suite
    onnx_nodes.py  ONNX graphs, node by node
    optimisers.py  the optimisers that recipes name, as records
    kernels.py     the choice of a kernel
    llvm.py        what code compiled for a CPU shares
    dense.py       a dense layer as one product of matrices
    masks.py       which places of a padded batch are real
    deepspeech/    the paper's model: one convolution, five LSTMs
    whisper/       Whisper: its network, published weights, tokens, greedy decoding
    ctc/           the CTC loss; decoding: greedy, with a dictionary, with a language model

This package imports nothing else of the project but `features.corpus.text` and `platforms.machine`.
"""
