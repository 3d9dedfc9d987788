"""A run's model, for those who do not have the suite: what it becomes in the formats of others.

    made = make("results/RUN", "savedmodel", Path("out"), checkpoint="best")
    made.said                                   # which checkpoint, and how far its outputs are from the suite's

forms.py        the table of formats, without TensorFlow; a folder is whole or absent
opened.py       a run's model from a checkpoint, in float32, and what it is held against
about.py        metadata.json
saved_model.py  TensorFlow's SavedModel, with the front end in it
keras_file.py   one file of stock layers
onnx_file.py    ONNX, checked by onnxruntime if that is there; onnx_front_end.py its front end
published.py    a folder as the model's authors publish it: Hugging Face's

Every format is held against the suite's own outputs when it is made, read back as its user would.
"""
