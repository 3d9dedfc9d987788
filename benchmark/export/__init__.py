"""A run in the words of others: MLPerf's logs and system descriptions, DAWNBench's table, or one JSON document of all.

    python -m benchmark.export results/RUN.csv --to mllog -o exported/      # exported/result_RUN.txt
    python -m mlperf_logging.compliance_checker --usage training --ruleset 3.1.0 exported/result_RUN.txt

    run = load("results/RUN.csv")
    print(mllog(run, Ask(level=55)), dawnbench(run, Ask()), document(run, Ask())["levels"])

mllog: what MLPerf Training 3.1.0 asks of its speech benchmark (rnnt) in the open division. Quality is the word error
rate as a fraction; the run stops where time to accuracy, TTA(a, e), is read, so that run_stop - run_start is our
`mlperf` clock and run_stop - init_start our `wall` clock. Times are run.json's `created`, which is in whole seconds,
plus the journal's seconds: differences are exact to the millisecond, the date to the second. In an event's metadata
"file" and "lineno" say which line of the journal it stands on; what holds for all of the run stands on line 2.

dawnbench: epoch, hours, top1Accuracy, which for us is 100 - WER, at least 0. DAWNBench stops the clock at the first
epoch at a level; that is TTA(a, 1), not the median over three epochs.

mlperf-system: the run's machine as MLPerf describes systems. What a run cannot know is "", and named.
card: what the run's records say of its model, for Hugging Face. The model itself, as TensorFlow's SavedModel, Keras's
file, ONNX or a folder of Hugging Face, is made by benchmark.export.model, which loads TensorFlow.

A log in somebody's format is not somebody's result. Every file says so where its format lets it, and standard error
always does. No TensorFlow for texts, and mlperf-logging (pip install ".[mlperf]") only to check the logs.
"""
