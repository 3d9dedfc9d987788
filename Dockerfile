# The suite in a container, with TensorFlow's CUDA libraries: docs/rigs.md#in-a-container
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates g++ git make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY . .
ENV SPEECH_TTA_GPU=1
RUN make setup
ENTRYPOINT ["make"]
CMD ["bench"]
