"""Text in, clean speech out: espeak-ng, called in this process through ctypes.

    wave = speak("hello", voice="en-us+m3", rate_wpm=170, pitch_percent=50, seed=0)     # 16 kHz, float64

Library and voices come in the espeakng-loader wheel. The same arguments give the same samples, whatever was
spoken before in the process.
"""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.signal import firwin, resample_poly

SAMPLE_RATE_HZ = 16_000

_SYNCHRONOUS, _DONT_EXIT, _CHARS_UTF8 = 2, 0x8000, 1  # espeak's own names less their prefixes
_RATE, _VOLUME, _PITCH = 1, 2, 3
_ESPEAK_RATE_HZ = 22_050
_UP, _DOWN = 320, 441  # 22,050 Hz * 320 / 441 = 16,000 Hz
_RESAMPLER = firwin(2 * 10 * _DOWN + 1, 1 / _DOWN, window=("kaiser", 5.0))  # scipy's default, made once
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@contextmanager
def espeak() -> Iterator[ctypes.CDLL]:
    """Load espeak-ng, and unload it at the end.

    espeak-ng carries state from one utterance to the next that nothing in its interface resets, neither setting
    the voice nor the random seed nor espeak_Terminate: the phase of the pitch flutter, for one. Unloading the
    library does, so that no utterance depends on those before it. That, and finding the voice again, is a third
    of an utterance's 9 ms.
    """
    library, data = _load_espeak()
    try:  # synchronous: espeak starts no thread of its own
        if library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT) != _ESPEAK_RATE_HZ:
            raise ValueError(
                f"espeak-ng does not start with the data in {data}; pip install --force-reinstall espeakng-loader"
            )
        yield library
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)


def _load_espeak() -> tuple[ctypes.CDLL, str]:
    try:
        import espeakng_loader

        return ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path()
    except (ImportError, OSError) as error:
        raise ValueError(f"espeak-ng cannot be loaded ({error}); pip install espeakng-loader") from error


def espeak_version() -> str:
    with espeak() as library:
        library.espeak_Info.restype = ctypes.c_char_p
        return library.espeak_Info(None).decode()


def speak(text: str, *, voice: str, rate_wpm: int, pitch_percent: int, seed: int) -> np.ndarray:
    """Return clean speech, float64 [samples] at 16 kHz within -1..1, without the silence around it.

    The seed is for the breath that some voices have; without one espeak-ng takes the time of day.
    """
    blocks: list[bytes] = []

    @_Callback
    def collect(wave: int | None, samples: int, _events: int) -> int:
        if wave:
            blocks.append(ctypes.string_at(wave, 2 * samples))
        return 0

    with espeak() as library:
        library.espeak_SetSynthCallback(collect)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}; pip install --upgrade espeakng-loader")
        library.espeak_SetParameter(_RATE, rate_wpm, 0)
        library.espeak_SetParameter(_PITCH, pitch_percent, 0)
        library.espeak_SetParameter(_VOLUME, 70, 0)  # at its default of 100 a loud voice may clip
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        utf8 = text.encode() + b"\0"
        library.espeak_Synth(utf8, ctypes.c_size_t(len(utf8)), 0, 1, 0, _CHARS_UTF8, None, None)
        library.espeak_Synchronize()
    wave = np.frombuffer(b"".join(blocks), "<i2") / 32768
    return _trim(resample_poly(wave, _UP, _DOWN, window=_RESAMPLER))


def _trim(wave: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(wave) > 0.005 * np.abs(wave).max())
    return wave[loud[0] : loud[-1] + 1]
