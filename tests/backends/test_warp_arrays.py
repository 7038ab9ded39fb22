"""Arrays on a device: NumPy's functions do on them what they do on the host."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("warp", reason='Warp is not installed (pip install "napari-tomoalign[gpu]")')

from on_device import CPU

from napari_tomoalign.backends.warp.arrays import DeviceArray


def on_host(array: DeviceArray) -> np.ndarray:
    return array.host((0, 1, 2))


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.divide, np.maximum])
def test_arrays_on_a_device_combine_as_numpys(ufunc):
    a = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    b = np.random.default_rng(1).normal(size=(3, 4, 1)).astype(np.float32)
    A, B = DeviceArray.of(a, CPU), DeviceArray.of(b, CPU)
    for mine, theirs in (((A, B), (a, b)), ((B, A), (b, a)), ((A, 3), (a, 3)), ((2.0, B), (2, b))):
        np.testing.assert_allclose(on_host(ufunc(*mine)), ufunc(*theirs), rtol=1e-6)
    np.testing.assert_allclose(on_host(ufunc(A, b)), ufunc(a, b), rtol=1e-6)
    out = np.zeros_like(A)
    assert ufunc(A, B, out=out, where=A > 0.5) is out
    np.testing.assert_allclose(
        on_host(out), ufunc(a, b, out=np.zeros_like(a), where=a > 0.5), rtol=1e-6
    )


def test_what_arrays_on_a_device_cannot_do_is_refused():
    array = DeviceArray.of(np.ones((2, 3, 4)), CPU)
    with pytest.raises(TypeError, match="sin"):
        np.sin(array)
    with pytest.raises(TypeError, match="fft"):
        np.fft.fft(array)
    with pytest.raises(ValueError, match=r"does not broadcast to \(2, 3, 1\)|broadcast"):
        np.add(array, array, out=DeviceArray.empty((2, 3, 1), CPU))


def test_arrays_go_to_a_device_and_back_in_any_order_of_axes():
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    for view in (values, values.transpose(1, 2, 0), values[::2, 1:4].transpose(0, 2, 1)):
        np.testing.assert_array_equal(on_host(DeviceArray.of(view, CPU)), view)
        back = DeviceArray.of(view, CPU).host((2, 0, 1))
        np.testing.assert_array_equal(back, view.transpose(2, 0, 1))
    array = DeviceArray.of(values, CPU)
    assert array.max(initial=0.0) == values.max()
    assert array.max(initial=2.0) == 2.0
    copy = array.copy()
    copy += 1
    np.testing.assert_array_equal(on_host(array), values)
