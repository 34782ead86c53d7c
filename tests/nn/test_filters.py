import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mstool.nn.device import choose_compute
from mstool.nn.filters import SIGMAS_PX, filter_bank, gaussian_blur, n_filters


def ramp(size=41):
    """Grey that rises by 1 a column and by 2 a row."""
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (2.0 * rows + cols)[None, None]


def bowl(size=41):
    """Half of the squared distance down the rows, and twice that along the columns."""
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = size // 2
    return (0.5 * (rows - middle) ** 2 + 1.0 * (cols - middle) ** 2)[None, None]


@pytest.mark.parametrize("sigma", SIGMAS_PX)
def test_blur_is_that_of_scipy(sigma):
    images = torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    wanted = ndimage.gaussian_filter(
        images.double().numpy(),
        (0, 0, sigma, sigma),
        mode="nearest",
        radius=(0, 0, *[math.ceil(3 * sigma)] * 2),
    )
    assert np.abs(gaussian_blur(images, sigma).numpy() - wanted).max() < 1e-5


def test_image_comes_first_and_each_sigma_gives_six_maps():
    images = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    maps = filter_bank(images)
    assert maps.shape == (2, n_filters(3), 16, 24)
    assert torch.equal(maps[:, :3], images)


def test_a_slope_has_its_gradient_and_no_curvature():
    _, _, gradient, laplacian, high, low, spread = filter_bank(ramp(), [1.4])[0, :, 20, 20]
    assert float(gradient) == pytest.approx(1.4 * math.sqrt(5), rel=1e-4)
    assert float(laplacian) == pytest.approx(0, abs=1e-3)
    assert (float(high), float(low)) == pytest.approx((0, 0), abs=1e-3)
    # variance of the ramp under the Gaussian: (2^2 + 1^2) sigma^2, less what the cut tails held
    assert float(spread) == pytest.approx(1.4 * math.sqrt(5), rel=0.03)


def test_a_bowl_has_its_two_curvatures():
    _, _, gradient, laplacian, high, low, _ = filter_bank(bowl(), [1.4])[0, :, 20, 20]
    assert float(gradient) == pytest.approx(0, abs=1e-3)
    assert float(laplacian) == pytest.approx(1.4**2 * 3, rel=1e-3)
    assert (float(high), float(low)) == pytest.approx((1.4**2 * 2, 1.4**2 * 1), rel=1e-3)


def test_turning_the_image_turns_the_maps():
    images = torch.randn(1, 1, 33, 33, generator=torch.Generator().manual_seed(0))
    turned = filter_bank(images.rot90(1, (-2, -1)))
    assert torch.allclose(turned, filter_bank(images).rot90(1, (-2, -1)), atol=1e-4)


def test_kernels_wider_than_the_image_are_taken():
    assert filter_bank(torch.ones(1, 1, 5, 4)).isfinite().all()


def test_flat_images_have_finite_slopes():
    images = torch.ones(1, 1, 9, 9, requires_grad=True)
    filter_bank(images).sum().backward()
    assert images.grad.isfinite().all()


def test_filters_are_not_rounded_where_networks_are():
    # a rough area beside a smooth one, both far brighter than the mean
    images = 1 + 0.02 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    images[..., 32:] = 1 + (images[..., 32:] - 1) / 2
    wanted = filter_bank(images)
    with choose_compute("cpu", "bf16").autocast():
        found = filter_bank(images)
    assert torch.equal(found, wanted)
    assert found.dtype == torch.float32
