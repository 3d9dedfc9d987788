"""The acoustic model of the paper, Deep Speech 2 in style.

config.py      sizes, and every difference between the recipes, a field each
network.py     build(config) -> keras.Model; output_frames; flops
lstm.py        the recurrent layer and its fast paths
recurrence.py  its loop over frames on a CPU
batch_norm.py  batch normalisation and dropout on a CPU, in one call
layer_norm.py  layer normalisation, ReLU and dropout, likewise
dropout.py     what both share: the draws of dropout
learner.py     what the trainer asks of it
portable.py    what becomes of it outside of the suite
onnx_graph.py  it as a graph of ONNX
"""
