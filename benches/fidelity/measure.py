#!/usr/bin/env python3
"""Pictures under a limit of octets, ours beside libvips' full-size ones, by SSIM and SSIMULACRA2 as the phone shows them.

    measure.py --ours 'WORKER' --score 'FIDELITY' [--images DIR] [--drawn 0] [--seed 1] [--json FILE]

WORKER is the program of benches/worker, FIDELITY that of benches/fidelity. For every photo, every screen and every
limit both write a JPEG; each is enlarged to the screen and compared with the photo, reduced to the screen (the head of
benches/fidelity/src/main.rs says how). --drawn N takes N crops of the photos and N odd screens at random instead.
Needs: pyvips pyvips-binary pillow numpy scikit-image (PyPI).
"""
import argparse, io, json, os, random, shlex, statistics, subprocess, sys, tempfile
import numpy as np
from PIL import Image, ImageOps
from skimage.metrics import structural_similarity

HERE = os.path.dirname(os.path.abspath(__file__))
Image.MAX_IMAGE_PIXELS = None
PHOTOS = ["phone_12mp_o6.jpg", "life_1080p.jpg", "picos_1280x960.jpg", "life_640x480.jpg", "friends_prog_1200x1600.jpg",
          "seed_1280x720.webp"]
SCREENS = [(640, 480), (320, 240), (176, 144)]
LIMITS = [3000, 4096, 8192, 16384, 30000]


class Worker:
    def __init__(self, command, named=True):
        env = dict(os.environ, VIPS_CONCURRENCY="1", RAYON_NUM_THREADS="1")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.name = json.loads(self.child.stdout.readline())["name"] if named else ""

    def ask(self, job):
        self.child.stdin.write(json.dumps(job) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())


def upright(path):
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def luma(image, size):
    y = np.asarray(image).astype(np.float32) @ np.array([.299, .587, .114], dtype=np.float32)
    if (y.shape[1], y.shape[0]) != size:
        y = np.asarray(Image.fromarray(y, "F").resize(size, Image.LANCZOS))
    return np.clip(y, 0, 255)


def ssim(photo, made, w, h):
    a, b = upright(photo), upright(made)
    scale = min(w / a.width, h / a.height, 1)
    size = (max(1, round(a.width * scale)), max(1, round(a.height * scale)))
    return float(structural_similarity(luma(a, size), luma(b, size), data_range=255, gaussian_weights=True, sigma=1.5,
                                       use_sample_covariance=False))


def drawn(images, count, seed, folder):
    """Crops of the photos, saved as JPEGs of some quality and sampling, and odd screens."""
    chance = random.Random(seed)
    photos, screens = [], []
    for at in range(count):
        photo = upright(os.path.join(images, chance.choice(PHOTOS[:3] + PHOTOS[4:])))
        width, height = chance.randint(photo.width // 3, photo.width), chance.randint(photo.height // 3, photo.height)
        left, top = chance.randint(0, photo.width - width), chance.randint(0, photo.height - height)
        path = os.path.join(folder, f"drawn-{at}.jpg")
        photo.crop((left, top, left + width, top + height)).save(path, quality=chance.randint(75, 95),
                                                                 subsampling=chance.choice([0, 1, 2]))
        photos.append(path)
        screens.append((chance.randint(90, 700), chance.randint(90, 700)))
    return photos, screens


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--ours", required=True)
    a.add_argument("--score", required=True)
    a.add_argument("--images", default=os.path.join(HERE, "../../tests/data/images"))
    a.add_argument("--drawn", type=int, default=0)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--json")
    args = a.parse_args()
    ours, vips = Worker(shlex.split(args.ours)), Worker([sys.executable, f"{HERE}/vips.py"])
    score = Worker(shlex.split(args.score), named=False)
    folder = tempfile.mkdtemp(prefix="fidelity-")
    photos, screens = [os.path.join(args.images, name) for name in PHOTOS], SCREENS
    if args.drawn:
        photos, screens = drawn(args.images, args.drawn, args.seed, folder)
    rows = []
    for photo in photos:
        for w, h in screens:
            for limit in LIMITS:
                job = {"in": photo, "w": w, "h": h, "type": "image/jpeg", "octets": limit}
                row = {"photo": os.path.basename(photo), "screen": f"{w}x{h}", "limit": limit}
                for key, worker in (("ours", ours), ("vips", vips)):
                    out = os.path.join(folder, key)
                    answer = worker.ask({**job, "out": out})
                    if "error" in answer:
                        row[key] = answer
                        continue
                    point = score.ask({"in": photo, "out": out, "w": w, "h": h})
                    size = Image.open(out).size
                    row[key] = {"octets": answer["octets"], "encodes": answer.get("encodes"), "width": size[0],
                                "quality": answer.get("quality"), "ssim": ssim(photo, out, w, h), **point}
                rows.append(row)
                print(row["photo"], row["screen"], limit, *(
                    f"{key} {r.get('octets')} {r.get('width')}px q{r.get('quality')} x{r.get('encodes')} {r.get('ssim', 0):.4f} {r.get('ssimulacra2', 0):.1f}"
                    for key, r in (("ours", row["ours"]), ("vips", row["vips"]))), sep="  ", flush=True)
    summary(rows)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)


def summary(rows):
    """A limit binds where what libvips writes at its highest quality, or ours, is not far below it; where libvips does not
    fit at all there is nothing to compare with."""
    over = [r for r in rows if r["ours"].get("octets", 0) > r["limit"]]
    failed = [r for r in rows if "error" in r["ours"]]
    bound = [r for r in rows if "error" not in r["ours"] and (r["ours"].get("quality") or 0) < 80]
    fair = [r for r in bound if "error" not in r["vips"] and r["vips"]["octets"] <= r["limit"]]
    late = [r for r in bound if r["ours"]["octets"] < 0.92 * r["limit"]]
    print(f"\n{len(rows)} pictures, {len(failed)} that can't be made, {len(over)} over their limit; the limit binds {len(bound)}")
    print(f"encodes of those: mean {statistics.mean(r['ours']['encodes'] for r in bound):.2f}; "
          f"filled: mean {statistics.mean(r['ours']['octets'] / r['limit'] for r in bound):.3f}, below 0.92: {len(late)}")
    for what, digits in (("ssim", 4), ("ssimulacra2", 1)):
        gain = [r["ours"][what] - r["vips"][what] for r in fair]
        error = statistics.stdev(gain) / len(gain) ** .5
        print(f"{what}: mean gain over libvips where it fits ({len(fair)}) {statistics.mean(gain):+.{digits}f} "
              f"(standard error {error:.{digits}f}), "
              f"least {min(gain):+.{digits}f}, below {sum(g < 0 for g in gain)}")
    for r in late:
        print("  little filled:", r["photo"], r["screen"], r["limit"], r["ours"]["octets"])


if __name__ == "__main__":
    main()
