#!/usr/bin/env python3
"""CPU and memory of the picture path beside libvips in process, one thread each, on the same jobs in turn.

    speed.py --ours 'WORKER' [--images DIR] [--rounds 9] [--drawn 5] [--seed 1] [--json FILE] [--svg FILE]

The ladder: one photo saved at sizes from 0.08 to 12 megapixels, shown on 640x480 and on 160x120; with
--svg it becomes the picture of CPU against size. Drawn: crops of the photos at random, as JPEGs of some quality and
sampling, on odd screens (--seed says which). Memory: what a job adds to the resident memory of a fresh process, and
what both are with it. Last, what two threads give over one. A ratio is the median of pairs. Needs: pyvips pyvips-binary pillow numpy scikit-image (PyPI).
"""
import argparse, json, math, os, shlex, statistics, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from measure import PHOTOS, Worker, drawn, ssim, upright

LADDER = [320, 480, 640, 960, 1280, 1920, 2592, 3264, 4032]
MEMORY = [("12mp-640", "phone_12mp_o6.jpg", 640, 480, "image/jpeg"), ("12mp-160", "phone_12mp_o6.jpg", 160, 120, "image/jpeg"),
          ("1080p-640", "life_1080p.jpg", 640, 480, "image/jpeg"), ("progressive-640", "friends_prog_1200x1600.jpg", 640, 480, "image/jpeg"),
          ("png-640", "screenshot_rgba_1080x1920.png", 640, 480, "image/jpeg"), ("palette-640", "astronaut_pal_800x600.png", 640, 480, "image/jpeg"),
          ("webp-640", "seed_1280x720.webp", 640, 480, "image/jpeg"), ("gif-160", "anim_24f_320x240.gif", 160, 120, "image/gif")]


def pairs(ours, vips, job, rounds):
    """Milliseconds of both, and the ratio."""
    found = []
    for at in range(rounds):
        order = (ours, vips) if at % 2 else (vips, ours)
        took = {id(worker): worker.ask(job) for worker in order}
        if any("error" in answer for answer in took.values()):
            raise SystemExit(f"{job}: {list(took.values())}")
        found.append((took[id(ours)]["cpu_us"] / 1e3, took[id(vips)]["cpu_us"] / 1e3))
    return (statistics.median(a for a, _ in found), statistics.median(b for _, b in found),
            statistics.median(a / b for a, b in found))


def ladder(args, ours, vips, folder):
    photo, rows = upright(os.path.join(args.images, PHOTOS[0])), []
    for width in LADDER:
        path = os.path.join(folder, f"{width}.jpg")
        photo.resize((width, round(photo.height * width / photo.width))).save(path, quality=88)
        for w, h in ((640, 480), (160, 120)):
            job = {"in": path, "w": w, "h": h, "type": "image/jpeg", "q": 80, "out": "", "repeat": 3 if width < 2000 else 1}
            a, b, ratio = pairs(ours, vips, job, args.rounds)
            pixels = width * round(photo.height * width / photo.width)
            rows.append({"pixels": pixels, "octets": os.path.getsize(path), "screen": f"{w}x{h}", "ours_ms": a, "vips_ms": b, "ratio": ratio})
            print(f"{pixels / 1e6:5.2f} Mpx to {w}x{h}: ours {a:6.2f} ms  libvips {b:6.2f} ms  ratio {ratio:.2f}", flush=True)
    return rows


def chance(args, ours, vips, folder):
    rows = []
    for path, (w, h) in zip(*drawn(args.images, args.drawn, args.seed, folder)):
        for goal in ({"q": 80}, {"octets": 12000}):
            job = {"in": path, "w": w, "h": h, "type": "image/jpeg", "repeat": 3, "out": "", **goal}
            a, b, ratio = pairs(ours, vips, job, args.rounds)
            quality = []
            for worker in (ours, vips):
                out = os.path.join(folder, "out")
                worker.ask({**job, "repeat": 1, "out": out})
                quality.append(ssim(path, out, w, h))
            size = upright(path).size
            rows.append({"size": f"{size[0]}x{size[1]}", "screen": f"{w}x{h}", **goal, "ours_ms": a, "vips_ms": b, "ratio": ratio, "ssim": quality})
            print(f"{size[0]}x{size[1]} to {w}x{h} {goal}: ours {a:6.2f} ms  libvips {b:6.2f} ms  ratio {ratio:.2f}  "
                  f"SSIM {quality[0]:.4f} / {quality[1]:.4f}", flush=True)
    return rows


def memory(args):
    rows = []
    for name, file, w, h, kind in MEMORY:
        found = []
        for command in (shlex.split(args.ours), [sys.executable, f"{HERE}/vips.py"]):
            worker = Worker(command)
            before = resident(worker.child.pid)
            worker.ask({"in": os.path.join(args.images, file), "w": w, "h": h, "type": kind, "q": 80, "out": ""})
            found += [resident(worker.child.pid) - before, resident(worker.child.pid)]
            worker.child.stdin.close()
            worker.child.wait()
        rows.append({"case": name, "ours_kb": found[0], "ours_whole_kb": found[1], "vips_kb": found[2], "vips_whole_kb": found[3]})
        print(f"{name:16} a job adds: ours {found[0] / 1024:6.1f} MB  libvips {found[2] / 1024:6.1f} MB   "
              f"the process: {found[1] / 1024:6.1f} MB / {found[3] / 1024:6.1f} MB", flush=True)
    return rows


def two(args):
    """Jobs a second of two workers at once over those of one: they share nothing but the machine, as the server's do."""
    job = {"in": os.path.join(args.images, PHOTOS[0]), "w": 640, "h": 480, "type": "image/jpeg", "q": 80, "out": "", "repeat": 20}
    workers = [Worker(shlex.split(args.ours)) for _ in range(2)]
    ratios = []
    for _ in range(args.rounds):
        start = time.monotonic()
        workers[0].ask(job)
        alone = time.monotonic() - start
        start = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda worker: worker.ask(job), workers))
        ratios.append(2 * alone / (time.monotonic() - start))
    print(f"two threads give {statistics.median(ratios):.2f} times the pictures of one")
    return statistics.median(ratios)


def resident(pid):
    """The most that was resident so far, in KiB."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def drawing(rows):
    """CPU against size, both axes in powers."""
    width, height, left, bottom = 720, 420, 64, 52
    xs = [math.log10(row["pixels"]) for row in rows]
    ys = [math.log10(row[key]) for row in rows for key in ("ours_ms", "vips_ms")]
    low_x, high_x, low_y, high_y = min(xs) - .05, max(xs) + .05, math.floor(min(ys) * 2) / 2, math.ceil(max(ys) * 4) / 4
    x = lambda pixels: left + (math.log10(pixels) - low_x) / (high_x - low_x) * (width - left - 150)
    y = lambda ms: height - bottom - (math.log10(ms) - low_y) / (high_y - low_y) * (height - bottom - 40)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="22" font-size="14">CPU of one photo, JPEG to JPEG, by its size (milliseconds, one thread; less is better)</text>']
    for ms in (1, 2, 5, 10, 20, 50, 100):
        if low_y <= math.log10(ms) <= high_y:
            out.append(f'<line x1="{left}" x2="{width - 150}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" stroke="#ddd"/>'
                       f'<text x="{left - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms}</text>')
    for mpx in (.1, .3, 1, 3, 10):
        if low_x <= math.log10(mpx * 1e6) <= high_x:
            out.append(f'<line x1="{x(mpx * 1e6):.1f}" x2="{x(mpx * 1e6):.1f}" y1="40" y2="{height - bottom}" stroke="#ddd"/>'
                       f'<text x="{x(mpx * 1e6):.1f}" y="{height - bottom + 18}" text-anchor="middle">{mpx} Mpx</text>')
    for screen, dash in (("640x480", ""), ("160x120", ' stroke-dasharray="5 4"')):
        for key, name, colour in (("ours_ms", "Bespoke", "#0a7d4f"), ("vips_ms", "libvips", "#b3501e")):
            line = [(x(r["pixels"]), y(r[key])) for r in rows if r["screen"] == screen]
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in line)
            out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
            out.append(f'<text x="{line[-1][0] + 8:.1f}" y="{line[-1][1] + (10 if dash else 2):.1f}" fill="{colour}">{name} to {screen}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--ours", required=True)
    a.add_argument("--images", default=os.path.join(HERE, "../../tests/data/images"))
    a.add_argument("--rounds", type=int, default=9)
    a.add_argument("--drawn", type=int, default=5)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--json")
    a.add_argument("--svg")
    args = a.parse_args()
    ours, vips = Worker(shlex.split(args.ours)), Worker([sys.executable, f"{HERE}/vips.py"])
    folder = tempfile.mkdtemp(prefix="speed-")
    print(f"{ours.name} beside {vips.name}, {args.rounds} pairs")
    found = {"ladder": ladder(args, ours, vips, folder), "drawn": chance(args, ours, vips, folder), "memory": memory(args),
             "two_threads": two(args)}
    if args.json:
        with open(args.json, "w") as f:
            json.dump(found, f, indent=1)
    if args.svg:
        with open(args.svg, "w") as f:
            f.write(drawing(found["ladder"]))


if __name__ == "__main__":
    main()
