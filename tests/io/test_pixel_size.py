"""Pixel size from every place where a file may state it, and what is no pixel size."""

import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.images import open_micrograph
from mstool.io.pixel_size import resolution_tags, size_from_density, stated_size, um_per_unit

GREY = np.arange(8 * 12, dtype=np.uint8).reshape(8, 12)


def fei(code, text):
    return {"metadata": None, "extratags": [(code, "s", 0, text, True)]}


SCAN = "[User]\r\nUser=a\r\n[Scan]\r\nPixelWidth=2.5e-008\r\nPixelHeight=2.5e-008\r\n"
BEAMS = (
    "[Beam]\r\nBeam=IBeam\r\nScan=IScan\r\n[EScan]\r\nPixelWidth=1e-006\r\nPixelHeight=1e-006\r\n"
    "[IScan]\r\nPixelWidth=4e-009\r\nPixelHeight=4e-009\r\n"
)
ZEISS = "\r\n0\r\n0\r\nAP_WD\r\nWD =  5.6 mm\r\n{}\r\nAP_MAG\r\nMag =   1.00 K X\r\n"
TESCAN = (
    "[MAIN]\r\nDevice=MIRA3\r\nPixelSizeX=4.1e-008\r\nPixelSizeY=4.1e-008\r\n[SEM]\r\nHV=15000\r\n"
)
MICROSCOPES = {
    "FEI Helios": (fei(34682, SCAN), 0.025),
    "FEI SFEG": (fei(34680, SCAN), 0.025),
    "FEI electron scan alone": (fei(34682, SCAN.replace("[Scan]", "[EScan]")), 0.025),
    "FEI ion beam": (fei(34682, BEAMS), 0.004),
    "FEI beside a printer's dpi": ({**fei(34682, SCAN), "resolution": (96, 96)}, 0.025),
    "FEI without a scan": (fei(34682, "[User]\r\nUser=a\r\n"), None),
    "Zeiss": (
        fei(34118, ZEISS.format("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size =  558.2 pm")),
        0.0005582,
    ),
    "Zeiss image rather than screen": (
        fei(
            34118,
            ZEISS.format(
                "AP_PIXEL_SIZE\r\nPixel Size = 40 nm\r\n"
                "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 20 nm"
            ),
        ),
        0.02,
    ),
    "Zeiss screen alone": (
        fei(34118, ZEISS.format("AP_PIXEL_SIZE\r\nPixel Size = 1.5 \xb5m").encode("latin-1")),
        1.5,
    ),
    "TESCAN": (fei(50431, TESCAN), 0.041),
    "TESCAN with bytes before the text": (
        {"metadata": None, "extratags": [(50431, 7, None, b"\1\0\xff" + TESCAN.encode(), True)]},
        0.041,
    ),
}


@pytest.mark.parametrize(("options", "expected"), MICROSCOPES.values(), ids=MICROSCOPES)
def test_microscopes_state_it_in_private_tags(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", GREY, **options)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == (None if expected is None else pytest.approx(expected))
    assert micrograph.doubt is None


def ome(attributes, head=""):
    return {
        "metadata": None,
        "description": f'<?xml version="1.0"?>{head}<OME '
        'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="12" SizeY="8" SizeC="1" '
        f'SizeZ="1" SizeT="1" {attributes}><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        '<TiffData IFD="0"/></Pixels></Image><Image ID="Image:1"><Pixels PhysicalSizeX="7"/>'
        "</Image></OME>",
    }


OME = {
    'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"': 0.25,
    'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#xB5;m"': 0.25,
    'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#956;m"': 0.25,
    'PhysicalSizeX="0.25" PhysicalSizeY="0.25"': 0.25,
    "PhysicalSizeX='30' PhysicalSizeXUnit='nm'": 0.03,
    'PhysicalSizeX="0.002" PhysicalSizeXUnit="mm"': 2,
    'PhysicalSizeX="25" PhysicalSizeXUnit="nm" PhysicalSizeY="0.025" PhysicalSizeYUnit="&#181;m"': (
        0.025
    ),
    'PhysicalSizeX="1" PhysicalSizeXUnit="pixel"': None,
    'PhysicalSizeX="0"': None,
    'Name="PhysicalSizeX=&quot;3&quot;"': None,
}


@pytest.mark.parametrize(("attributes", "expected"), OME.items(), ids=OME)
def test_ome_states_it_in_the_first_image(tmp_path, attributes, expected):
    tifffile.imwrite(tmp_path / "a.tif", GREY, **ome(attributes))
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == (None if expected is None else pytest.approx(expected))
    assert micrograph.doubt is None


@pytest.mark.parametrize("unit", ["µm", "μm"])
def test_ome_as_tifffile_writes_it(tmp_path, unit):
    metadata = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "a.tif", GREY, ome=True, metadata=metadata)
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == 0.25


def test_ome_that_defines_entities_is_not_expanded(tmp_path):
    head = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    tifffile.imwrite(tmp_path / "a.tif", GREY, **ome('PhysicalSizeX="1" Name="&b;"', head))
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt == "has OME metadata that cannot be read (defines entities)"


IMAGEJ = {
    **dict.fromkeys(["um", "Um", "micron", "microns", "Microns", "micrometer"], 0.25),
    **dict.fromkeys(["micrometers", "micrometre", "Micrometres", r"\u00B5m", r"\u00b5m"], 0.25),
    **dict.fromkeys(["nm", "nanometer", "nanometers", "nanometre", "NM"], 0.25e-3),
    **dict.fromkeys(["mm", "millimeters"], 250.0),
    **dict.fromkeys(["pixel", "pixels", "Pixels", "px", ""], None),
}


@pytest.mark.parametrize(("unit", "expected"), IMAGEJ.items(), ids=IMAGEJ)
def test_imagej_states_it_in_any_spelling(tmp_path, unit, expected):
    options = {"resolution": (4.0, 4.0), "metadata": {"unit": unit}}
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, **options)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == (None if expected is None else pytest.approx(expected))
    assert micrograph.doubt is None


@pytest.mark.parametrize(
    ("unit", "per_unit"), [("inch", 101_600), ("inches", 101_600), ("cm", 4e4)]
)
def test_imagej_in_inch_and_cm_is_believed_where_it_is_fine_enough(tmp_path, unit, per_unit):
    options = {"resolution": (per_unit, per_unit), "metadata": {"unit": unit}}
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, **options)
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.25)
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, **{**options, "resolution": (72, 72)})
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um is None
    assert open_micrograph(tmp_path / "a.tif").doubt.startswith(f"states 72 pixels per {unit}, ")


def test_imagej_writes_micrometres_as_one_byte(tmp_path):
    text = b"ImageJ=1.54f\nunit=\xb5m\n"
    options = {"metadata": None, "resolution": (4, 4), "resolutionunit": 1}
    tifffile.imwrite(tmp_path / "a.tif", GREY, description=text, **options)
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == 0.25


def test_unit_that_is_no_length_is_told(tmp_path):
    options = {"resolution": (4.0, 4.0), "metadata": {"unit": "furlong"}}
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, **options)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt == "states its pixel size in 'furlong', which is no known unit"


def test_metres_become_micrometres_without_a_rest():
    assert stated_size("2.5e-008", None, "m").um == 0.025


def test_capital_m_is_mega_where_small_letters_are_milli():
    assert um_per_unit("mm") == um_per_unit("MM") == 1000
    assert um_per_unit("m") == um_per_unit("meter") == 1e6
    assert um_per_unit("Mm") is None


@pytest.mark.parametrize(
    "dots", [1, 10, 72, 75, 96, 100, 120, 144, 150, 300, 600, 1200, 2400, 4800]
)
@pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "bmp"])
def test_dots_per_inch_of_screens_and_printers_are_no_pixel_size_and_told(tmp_path, dots, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        kind = {"resolution": (dots, dots), "resolutionunit": "INCH", "metadata": None}
        tifffile.imwrite(path, GREY, **kind)
    else:
        Image.fromarray(GREY).save(path, dpi=(dots, dots))
    micrograph = open_micrograph(path)
    assert micrograph.pixel_size_um is None
    assert "pixels per inch, which is what programs write that know no pixel" in micrograph.doubt
    assert "\n" not in micrograph.doubt


def test_one_dot_per_centimetre_is_no_pixel_size(tmp_path):
    kind = {"resolution": (1, 1), "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", GREY, **kind)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt.startswith("states 1 pixels per cm, ")


def test_density_finer_than_any_microscope_is_told():
    assert size_from_density(1e10, 1e10, "cm").doubt.endswith("finer than any microscope")
    assert size_from_density(5e8, 5e8, "cm").um == pytest.approx(2e-5)


def test_nothing_stated_raises_no_doubt(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    Image.fromarray(GREY).save(tmp_path / "a.bmp", dpi=(0, 0))
    for suffix in ("tif", "png", "jpg", "bmp"):
        micrograph = open_micrograph(tmp_path / f"a.{suffix}")
        assert (micrograph.pixel_size_um, micrograph.doubt) == (None, None)


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_density_of_a_microscope_is_taken(tmp_path, unit):
    per_unit = {"INCH": 25400, "CENTIMETER": 10000}[unit] / 0.2
    kind = {"resolution": (per_unit, per_unit), "resolutionunit": unit, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", GREY, **kind)
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.2)


def write_phys(path, per_metre):
    """PNG with a chunk pHYs of its own: Pillow rounds."""
    Image.fromarray(GREY).save(path)
    data = path.read_bytes()
    content = b"pHYs" + struct.pack(">IIB", *per_metre, 1)
    chunk = struct.pack(">I", 9) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(data[:33] + chunk + data[33:])


def test_png_and_jpeg_state_it_as_density(tmp_path):
    write_phys(tmp_path / "a.png", (5_000_000, 5_000_000))
    assert open_micrograph(tmp_path / "a.png").pixel_size_um == pytest.approx(0.2)
    Image.fromarray(GREY).save(tmp_path / "a.jpg", dpi=(25400, 25400))
    assert open_micrograph(tmp_path / "a.jpg").pixel_size_um == pytest.approx(1)


UNEQUAL = {
    "tags": {"resolution": (5e4, 4e4), "resolutionunit": "CENTIMETER", "metadata": None},
    "FEI": fei(34682, SCAN.replace("PixelHeight=2.5", "PixelHeight=3.0")),
    "TESCAN": fei(50431, TESCAN.replace("PixelSizeY=4.1", "PixelSizeY=5.1")),
    "OME": ome('PhysicalSizeX="0.25" PhysicalSizeY="0.5"'),
    "ImageJ": {"imagej": True, "resolution": (4, 3), "metadata": {"unit": "um"}},
}


@pytest.mark.parametrize("options", UNEQUAL.values(), ids=UNEQUAL)
def test_pixels_that_are_not_square_have_no_size_and_it_is_told(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", GREY, **options)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt.endswith("um, which are not square")


def test_rounding_of_a_hundredth_is_square():
    assert stated_size(0.1, 0.1009, "um").um == 0.1
    assert stated_size(0.1, 0.1011, "um").um is None
    assert stated_size(0.1011, 0.1, "um").um is None


def test_png_whose_pixels_are_not_square(tmp_path):
    write_phys(tmp_path / "a.png", (5_000_000, 4_000_000))
    assert open_micrograph(tmp_path / "a.png").doubt.endswith("which are not square")


JEOL = (
    "$CM_FORMAT JEOL/SEM\n$CM_MAG 5000\n$CM_FULL_SIZE 12 8\n"
    "$$SM_MICRON_BAR {}\n$$SM_MICRON_MARKER {}\n"
)
HITACHI = "[SemImageFile]\r\nInstructName=SU8230\r\nDataSize=12x8\r\nPixelSize=9.921875\r\n"
SIDECARS = {
    "JEOL": ("a.txt", JEOL.format(200, "10um"), 0.05),
    "JEOL in nm": ("a.txt", JEOL.format(125, "500nm"), 0.004),
    "JEOL in capitals": ("a.TXT", JEOL.format(200, "10um"), 0.05),
    "JEOL in UTF-8": ("a.txt", JEOL.format(200, "10 µm"), 0.05),
    "Hitachi": ("a.txt", HITACHI, 0.009921875),
    "TESCAN": ("a-tif.hdr", TESCAN, 0.041),
    "TESCAN, other name": ("a.hdr", TESCAN, 0.041),
    "in nm": ("a.txt", "PixelSizeX=50 nm\nPixelSizeY=50 nm\n", 0.05),
    "in two units": ("a.txt", "PixelSizeX = 50nm\nPixelSizeY = 0.05 µm\n", 0.05),
    "width alone": ("a.txt", "PixelSizeX=5e-008\n", 0.05),
    "Hitachi in um": ("a.txt", HITACHI.replace("9.921875", "0.05 um"), 0.05),
    "notes": ("a.txt", "PixelSize=3\nseen on Monday\n", None),
    "JEOL without a bar": ("a.txt", "$CM_MAG 5000\n$$SM_MICRON_MARKER 10um\n", None),
    "JEOL with a bar of nothing": ("a.txt", JEOL.format(0, "10um"), None),
    "of another image": ("b.txt", JEOL.format(200, "10um"), None),
}


@pytest.mark.parametrize(("name", "text", "expected"), SIDECARS.values(), ids=SIDECARS)
def test_text_beside_the_image_states_it(tmp_path, name, text, expected):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    (tmp_path / name).write_bytes(text.encode())
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um == (None if expected is None else pytest.approx(expected))
    assert micrograph.doubt is None


DOUBTFUL = {
    "PixelSizeX=50\nPixelSizeY=50\n": "states pixels of 5e+07 um, which no micrograph has",
    "PixelSizeX=4e-12\nPixelSizeY=4e-12\n": "states pixels of 4e-06 um, which no micrograph has",
    "PixelSizeX=5 ells\n": "states its pixel size in 'ells', which is no known unit",
    "PixelSizeX=5e-8\nPixelSizeY=6e-8\n": "states pixels of 0.05 x 0.06 um, which are not square",
}


@pytest.mark.parametrize(("text", "doubt"), DOUBTFUL.items(), ids=DOUBTFUL.values())
def test_text_beside_the_image_that_states_what_cannot_be_is_told(tmp_path, text, doubt):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    (tmp_path / "a.txt").write_text(text)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt == f"has a.txt beside it, which {doubt}"


def test_pixels_from_a_hundredth_of_a_nanometre_to_a_millimetre_are_of_micrographs():
    assert stated_size("1e-5", None, "um").um == pytest.approx(1e-5)
    assert stated_size("1", None, "mm").um == pytest.approx(1e3)
    for text in ("0.9e-5", "1001"):
        assert stated_size(text, None, "um").doubt.endswith("um, which no micrograph has")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_text_beside_the_image_in_other_encodings(tmp_path, encoding):
    Image.fromarray(GREY).save(tmp_path / "a.bmp")
    text = HITACHI + "Comment=5 µm\r\n"
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert open_micrograph(tmp_path / "a.bmp").pixel_size_um == pytest.approx(0.009921875)


def test_text_beside_wins_over_a_density_for_print_and_loses_to_the_file(tmp_path):
    (tmp_path / "a.txt").write_text(HITACHI)
    kind = {"resolution": (72, 72), "resolutionunit": "INCH", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", GREY, **kind)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert (micrograph.pixel_size_um, micrograph.doubt) == (pytest.approx(0.009921875), None)
    tifffile.imwrite(tmp_path / "a.tif", GREY, **fei(34682, SCAN))
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.025)


@pytest.mark.parametrize("text", [JEOL.format(200, "10um"), HITACHI], ids=["JEOL", "Hitachi"])
def test_text_of_an_image_of_another_width_is_not_taken(tmp_path, text):
    tifffile.imwrite(tmp_path / "a.tif", GREY[:, :6], metadata=None)
    (tmp_path / "a.txt").write_text(text)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.pixel_size_um is None
    assert micrograph.doubt == "is 6 pixels wide, and a.txt beside it is of an image of 12"


def test_text_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    (tmp_path / "a.txt").write_text(HITACHI)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    micrograph = open_micrograph(tmp_path / "a.tif")
    assert micrograph.doubt == "has a.txt beside it, which cannot be read (Permission denied)"


def test_size_that_is_given_leaves_no_doubt(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png", dpi=(72, 72))
    micrograph = open_micrograph(tmp_path / "a.png", pixel_size_um=7.0)
    assert (micrograph.pixel_size_um, micrograph.doubt) == (7.0, None)


@pytest.mark.parametrize("size", [1e-5, 0.0123, 1, 12.5, 400, 1e4])
def test_size_that_mstool_wrote_is_read_back_however_coarse(tmp_path, size):
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, **resolution_tags(size))
    assert open_micrograph(tmp_path / "a.tif").pixel_size_um == pytest.approx(size, rel=1e-6)
    assert os.listdir(tmp_path) == ["a.tif"]
