"""Whisper: an encoder and a decoder of transformer blocks, from weights that others trained.

    learner.py      what the trainer asks of it
    config.py       its sizes and its recipe, without TensorFlow
    places.py       where weights are, without TensorFlow
    network.py      build(sizes) -> keras.Model; flops
    weights.py      published weights, read from files without running them
    ctranslate2.py  the tensors of CTranslate2's files, quantised ones too
    openai.py       those of OpenAI's .pt
    tokens.py       sentences to tokens and back
    portable.py     what becomes of it outside of the suite
    publish.py      a trained one as a folder of Hugging Face
    decoding.py     greedy decoding that keeps keys and values

Nothing outside `models` imports it: `models.table` has its name.
"""
