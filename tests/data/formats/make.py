"""Makes the pictures beside this file, one for each way of writing a format, and references decoded by others.

Run with Pillow 13 (libwebp, libtiff, littlecms2). PNG, WBMP and the ICC profiles are written here, octet by octet, as
Pillow writes neither 16 bits of colour nor interlaced rows. The colours follow from the place of a pixel (`pixel`), so
that a test which knows the formula needs no reference where nothing is lost.
"""
import io
import struct
import zlib

from PIL import Image, ImageCms

W, H = 24, 20


def pixel(x, y):
    return x * 255 // (W - 1), y * 255 // (H - 1), (x * 7 + y * 13) * 3 % 256, 255 if (x + y) % 3 else x * 10


def gray(x, y):
    return (x * 11 + y * 5) % 256


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(name, colour, depth, samples, interlaced, extra=b""):
    """`samples(x, y)`: the samples of a pixel, `depth` bits each."""
    def rows(x0, y0, dx, dy):
        out = b""
        for y in range(y0, H, dy):
            bits = "".join(format(s, f"0{depth}b") for x in range(x0, W, dx) for s in samples(x, y))
            if bits:
                bits += "0" * (-len(bits) % 8)
                out += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        return out
    raw = b"".join(rows(*p) for p in ADAM7) if interlaced else rows(0, 0, 1, 1)
    head = struct.pack(">IIBBBBB", W, H, depth, colour, 0, 0, int(interlaced))
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def pngs():
    for i, tag in ((0, ""), (1, "-interlaced")):
        for depth in (1, 2, 4, 8, 16):
            png(f"gray-{depth}{tag}.png", 0, depth, lambda x, y: [gray(x, y) * 257 >> 16 - depth], i)
        for depth in (8, 16):
            deep = (lambda s: s * 257) if depth == 16 else (lambda s: s)
            png(f"rgb-{depth}{tag}.png", 2, depth, lambda x, y: [deep(s) for s in pixel(x, y)[:3]], i)
            png(f"rgba-{depth}{tag}.png", 6, depth, lambda x, y: [deep(s) for s in pixel(x, y)], i)
            png(f"graya-{depth}{tag}.png", 4, depth, lambda x, y: [deep(gray(x, y)), deep(pixel(x, y)[3])], i)
        for depth in (1, 2, 4, 8):
            colours = 1 << depth
            table = chunk(b"PLTE", b"".join(bytes([c * 255 // (colours - 1), 255 - c * 255 // (colours - 1), c]) for c in range(colours)))
            png(f"palette-{depth}{tag}.png", 3, depth, lambda x, y: [(x + y * 3) % colours], i, table)
    png("gray-8-key.png", 0, 8, lambda x, y: [gray(x, y)], 0, chunk(b"tRNS", struct.pack(">H", gray(3, 3))))
    # Between two of 256 shades: 16 bits must be rounded, not cut.
    png("gray-16-between.png", 0, 16, lambda x, y: [gray(x, y) * 257 + (200 if gray(x, y) < 255 else 0)], 0)


def rgb():
    image = Image.new("RGB", (W, H))
    image.putdata([pixel(x, y)[:3] for y in range(H) for x in range(W)])
    return image


def rgba():
    image = Image.new("RGBA", (W, H))
    image.putdata([pixel(x, y) for y in range(H) for x in range(W)])
    return image


def l8():
    image = Image.new("L", (W, H))
    image.putdata([gray(x, y) for y in range(H) for x in range(W)])
    return image


def bilevel():
    image = Image.new("1", (W, H))
    image.putdata([255 if gray(x, y) >= 128 else 0 for y in range(H) for x in range(W)])
    return image


def indexed():
    image = Image.new("P", (W, H))
    image.putpalette([v for c in range(256) for v in (c, 255 - c, c * 7 % 256)])
    image.putdata([(x + y * 3) % 256 for y in range(H) for x in range(W)])
    return image


def moving(frames=4):
    out = []
    for n in range(frames):
        frame = Image.new("RGBA", (W, H), (200, 30 * n, 0, 255))
        for y in range(4, 12):
            for x in range(3 + 3 * n, 9 + 3 * n):
                frame.putpixel((x, y), (0, 0, 250, 255))
        out.append(frame)
    return out


def tiffs():
    rgb().save("rgb.tiff")
    rgb().save("rgb-lzw.tiff", compression="tiff_lzw")
    rgb().save("rgb-deflate.tiff", compression="tiff_adobe_deflate")
    rgb().save("rgb-packbits.tiff", compression="packbits")
    rgb().save("rgb-jpeg.tiff", compression="jpeg")
    rgb().save("rgb-turned.tiff", tiffinfo={274: 6})
    rgba().save("rgba.tiff")
    l8().save("gray.tiff", compression="tiff_lzw")
    bilevel().save("bilevel.tiff")
    bilevel().save("bilevel-group4.tiff", compression="group4")
    indexed().save("palette.tiff", compression="tiff_lzw")
    rgb().convert("CMYK").save("cmyk.tiff", compression="tiff_lzw")
    deep = Image.new("I;16", (W, H))
    deep.putdata([gray(x, y) * 257 for y in range(H) for x in range(W)])
    deep.save("gray-16.tiff")
    # The same from the other end: Pillow writes little-endian only.
    body = b"".join(bytes(pixel(x, y)[:3]) for y in range(H) for x in range(W))
    entries = [(256, 3, 1, W << 16), (257, 3, 1, H << 16), (258, 3, 3, 8 + 2 + 9 * 12 + 4), (259, 3, 1, 1 << 16), (262, 3, 1, 2 << 16),
               (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6), (277, 3, 1, 3 << 16), (278, 3, 1, H << 16), (279, 4, 1, len(body))]
    ifd = struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *e) for e in entries) + bytes(4)
    with open("rgb-big-endian.tiff", "wb") as f:
        f.write(b"MM\0*" + struct.pack(">I", 8) + ifd + struct.pack(">HHH", 8, 8, 8) + body)


def profile(kind, colorants=None, gamma=2.2, curve=None):
    """A matrix or gray profile of version 4 (ICC.1:2010)."""
    s15 = lambda v: struct.pack(">i", round(v * 65536))
    xyz = lambda v: b"XYZ \0\0\0\0" + b"".join(s15(c) for c in v)
    mluc = lambda t: b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(t) * 2, 28) + t.encode("utf-16-be")
    para = lambda: b"para\0\0\0\0" + (struct.pack(">HH", 3, 0) + b"".join(s15(v) for v in curve) if curve else struct.pack(">HH", 0, 0) + s15(gamma))
    tags = [(b"desc", mluc("made for a test")), (b"cprt", mluc("CC0")), (b"wtpt", xyz((0.9642, 1, 0.8249)))]
    if colorants:
        tags += [(n, xyz(v)) for n, v in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants)]
        tags += [(n, para()) for n in (b"rTRC", b"gTRC", b"bTRC")]
    else:
        tags += [(b"kTRC", para())]
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags:
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value
    head = struct.pack(">I4sI4s4s4s6H4s4sIIIIII3i4s16s28s", at + len(data), b"\0\0\0\0", 0x04400000, b"mntr", kind, b"XYZ ", 2026, 1, 1, 0, 0, 0,
                       b"acsp", b"\0\0\0\0", 0, 0, 0, 0, 0, 0, 63190, 65536, 54061, b"\0\0\0\0", bytes(16), bytes(28))
    return head + struct.pack(">I", len(tags)) + table + data


SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Adapted to D50 (Bradford).
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def in_srgb(image, icc):
    srgb = ImageCms.createProfile("sRGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    flags = ImageCms.Flags.NOOPTIMIZE if hasattr(ImageCms, "Flags") else 0
    return ImageCms.profileToProfile(image, source, srgb, renderingIntent=0, outputMode="RGB", flags=flags)


def profiled():
    p3, adobe, srgb, gray18 = profile(b"RGB ", P3, curve=SRGB_CURVE), profile(b"RGB ", ADOBE, gamma=563 / 256), profile(b"RGB ", SRGB, curve=SRGB_CURVE), profile(b"GRAY", gamma=1.0)
    rgb().save("p3.png", icc_profile=p3)
    rgb().save("adobe.tiff", icc_profile=adobe)
    rgb().save("adobe.webp", lossless=True, icc_profile=adobe)
    rgb().save("srgb.png", icc_profile=srgb)
    l8().save("linear-gray.png", icc_profile=gray18)
    big = rgb().resize((W * 4, H * 4), Image.BICUBIC)
    big.save("p3.jpg", quality=95, subsampling=0, icc_profile=p3)
    in_srgb(rgb(), p3).save("p3.png.reference.png")
    in_srgb(rgb(), adobe).save("adobe.reference.png")
    in_srgb(l8(), gray18).convert("L").save("linear-gray.png.reference.png")
    in_srgb(Image.open("p3.jpg"), p3).save("p3.jpg.reference.png")
    png("p3-cicp.png", 2, 8, lambda x, y: pixel(x, y)[:3], 0, chunk(b"cICP", bytes([12, 13, 0, 1])))
    # A profile of zeros, packed about 1000 to 1.
    bomb = profile(b"RGB ", P3, curve=SRGB_CURVE) + bytes(200 * 1024)
    bomb = struct.pack(">I", len(bomb)) + bomb[4:]
    png("icc-bomb.png", 2, 8, lambda x, y: pixel(x, y)[:3], 0, chunk(b"iCCP", b"p\0\0" + zlib.compress(bomb, 9)))


def main():
    pngs()
    bilevel().save("bilevel.bmp")
    l8().save("gray.bmp")
    indexed().save("palette.bmp")
    rgb().save("rgb.bmp")
    rgba().save("rgba.bmp")
    rgba().save("rgba-lossless.webp", lossless=True, exact=True)
    big = rgb().resize((W * 4, H * 4), Image.BICUBIC)
    big.save("rgb-lossy.webp", quality=80)
    Image.open("rgb-lossy.webp").convert("RGB").save("rgb-lossy.webp.reference.png")
    soft = rgba().resize((W * 4, H * 4), Image.BICUBIC)
    soft.save("rgba-lossy.webp", quality=80)
    Image.open("rgba-lossy.webp").convert("RGBA").save("rgba-lossy.webp.reference.png")
    frames = moving()
    frames[0].save("moving.webp", save_all=True, append_images=frames[1:], duration=[70, 125, 40, 300], loop=3, lossless=True)
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=[70, 120, 40, 300], loop=2)
    indexed().save("palette.gif", interlace=0)
    indexed().save("palette-interlaced.gif", interlace=1)
    tiffs()
    rgba().save("png.ico", sizes=[(W, H)])
    rgba().save("bitmap.ico", sizes=[(W, H), (W // 2, H // 2)], bitmap_format="bmp")
    bits = bilevel()
    with open("bilevel.wbmp", "wb") as f:
        f.write(bytes([0, 0, W, H]) + bits.tobytes())
    big.save("rgb.avif", quality=80)
    # A few scans of a few octets: what a test repeats ten thousand times.
    Image.new("RGB", (64, 64), (90, 90, 90)).save("scans.jpg", quality=80, progressive=True)
    profiled()


main()
