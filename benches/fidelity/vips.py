"""libvips in process behind the protocol of benches/worker: a job a line. Needs pyvips and pyvips-binary (PyPI).

Under an octet limit it does what a user of libvips does, who has no other means: the quality is bisected at full size.
"""
import json
import os
import resource
import sys
import time

os.environ.setdefault("VIPS_CONCURRENCY", "1")
import pyvips

pyvips.cache_set_max(0)
print(json.dumps({"name": f"libvips {pyvips.version(0)}.{pyvips.version(1)}.{pyvips.version(2)}"}), flush=True)


def saved(image, kind, quality, effort=None):
    if kind == "image/gif":
        fast = {} if effort is None else {"effort": effort, "dither": 0}
        return image.gifsave_buffer(strip=True, **fast)
    if kind == "image/png":
        return image.pngsave_buffer(strip=True)
    return image.jpegsave_buffer(Q=quality, strip=True, background=[255, 255, 255])


def made(data, job):
    pages = "n=-1" if job["type"] == "image/gif" else ""
    image = pyvips.Image.thumbnail_buffer(data, job["w"], height=job["h"], size="down", option_string=pages)
    if "octets" not in job:
        return saved(image, job["type"], job.get("q", 80), job.get("effort")), 1
    image = image.copy_memory()
    low, high, best, encodes = 1, 95, None, 0
    while low <= high:
        middle = (low + high) // 2
        out = saved(image, job["type"], middle)
        encodes += 1
        if len(out) <= job["octets"]:
            best, low = out, middle + 1
        else:
            high = middle - 1
    return (best if best is not None else out), encodes


for line in sys.stdin:
    job = json.loads(line)
    try:
        with open(job["in"], "rb") as f:
            data = f.read()
        times = []
        for _ in range(job.get("repeat", 1)):
            start = time.process_time()
            out, encodes = made(data, job)
            times.append(time.process_time() - start)
        if job.get("out"):
            with open(job["out"], "wb") as f:
                f.write(out)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"cpu_us": sorted(times)[len(times) // 2] * 1e6, "octets": len(out), "encodes": encodes,
                          "peak_kb": peak}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)[:200]}), flush=True)
