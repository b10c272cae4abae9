"""200 announcements of PCMU at once: what the server takes, beside ffmpeg sending the same clip in real time."""
import os, socket, sys, time, re, subprocess, threading
sip = ('127.0.0.1', int(sys.argv[1])); pid = int(sys.argv[2]); n = int(sys.argv[3]); clip = sys.argv[4]
def cpu(p):
    f = open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split(); return (int(f[11]) + int(f[12])) / os.sysconf('SC_CLK_TCK')
media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); media.bind(('127.0.0.1', 0)); media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20); media.setsockopt(socket.SOL_SOCKET, 35, 1)
port = media.getsockname()[1]
seen = {}; stop = False
def listen():
    media.settimeout(0.5)
    while not stop:
        try: d, anc, _, a = media.recvmsg(2048, 128)
        except OSError: continue
        import struct
        sec, ns = struct.unpack('qq', anc[0][2]) if anc else (0, 0); t = sec + ns / 1e9
        if (d[1] & 0x7f) == 0:
            seen.setdefault(a, []).append((t, int.from_bytes(d[2:4], 'big')))
th = threading.Thread(target=listen); th.start()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0)); s.settimeout(5); here = '%s:%d' % s.getsockname()
def call(i):
    sdp = f'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtcp-mux\r\na=recvonly\r\n'
    h = f'Max-Forwards: 70\r\nFrom: <sip:a@{here}>;tag={i}\r\nCall-ID: load-{i}-{os.getpid()}\r\nContact: <sip:a@{here}>\r\n'
    s.sendto(f'INVITE sip:annc@127.0.0.1:{sip[1]};play=file:///{clip};repeat=forever SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKl{i}\r\nTo: <sip:annc@h>\r\nCSeq: 1 INVITE\r\n{h}Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}'.encode(), sip)
    while True:
        m = s.recv(65536).decode()
        if m.startswith('SIP/2.0 200') and f'load-{i}-' in m: break
        if m.startswith('SIP/2.0 4') or m.startswith('SIP/2.0 5'): print(m); sys.exit(1)
    to = re.search(r'\r\nTo: (.*)\r\n', m).group(1)
    s.sendto(f'ACK sip:annc@127.0.0.1:{sip[1]} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKa{i}\r\nTo: {to}\r\nCSeq: 1 ACK\r\n{h}Content-Length: 0\r\n\r\n'.encode(), sip)
    return to, h

phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); phone.bind(('127.0.0.1', 0)); pa = '%s:%d' % phone.getsockname()
ms = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); ms.bind(('127.0.0.1', 0)); ms.settimeout(5); ma = '%s:%d' % ms.getsockname()
phone.sendto(f'REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {pa};branch=z9hG4bKr\r\nMax-Forwards: 70\r\nFrom: <sip:john@localhost>;tag=1\r\nTo: <sip:john@localhost>\r\nCall-ID: r{os.getpid()}\r\nCSeq: 1 REGISTER\r\nContact: <sip:john@{pa}>\r\nContent-Length: 0\r\n\r\n'.encode(), sip)
print(phone.recv(4096).split(b'\r\n')[0].decode())
def answer():
    while True:
        d, a = phone.recvfrom(65536)
        lines = d.decode().split('\r\n')
        keep = [l for l in lines if l.split(':')[0].lower() in ('via', 'from', 'call-id', 'cseq')] + [l + ';tag=p' for l in lines if l.lower().startswith('to:')]
        phone.sendto(('SIP/2.0 200 OK\r\n' + '\r\n'.join(keep) + '\r\nContent-Length: 0\r\n\r\n').encode(), a)
threading.Thread(target=answer, daemon=True).start()
num = 0
def messages(count):
    global num
    lag, bad = [], 0
    a = cpu(pid); t0 = time.monotonic()
    for i in range(count):
        num += 1; x = time.monotonic()
        ms.sendto(f'MESSAGE sip:john@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {ma};branch=z9hG4bKm{num}\r\nMax-Forwards: 70\r\nFrom: <sip:b@example.org>;tag=1\r\nTo: <sip:john@localhost>\r\nCall-ID: m{num}-{os.getpid()}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello'.encode(), sip)
        try:
            while True:
                m = ms.recv(4096)
                if f'm{num}-'.encode() in m and not m.startswith(b'SIP/2.0 1'): break
            bad += not m.startswith(b'SIP/2.0 200')
        except OSError: bad += 1
        lag.append(time.monotonic() - x)
        time.sleep(max(0, t0 + (i + 1) / 150 - time.monotonic()))
    lag.sort(); return cpu(pid) - a, time.monotonic() - t0, bad, lag[len(lag)//2] * 1000, lag[int(len(lag)*.99)] * 1000
c, dt, bad, p50, p99 = messages(1500)
print(f'without streams: {c/1500*1e6:.0f} us of CPU a MESSAGE (debug build), {bad} failed, round trip p50 {p50:.2f} p99 {p99:.2f} ms')
calls = [call(i) for i in range(n)]
time.sleep(2); seen.clear()
a = cpu(pid); t = time.monotonic(); time.sleep(20); b = cpu(pid); dt = time.monotonic() - t
stop = True; th.join(); base = (b - a) / dt
c, dt, bad, p50, p99 = messages(1500)
print(f'beside {n} streams: {(c-base*dt)/1500*1e6:.0f} us of CPU a MESSAGE, {bad} failed, round trip p50 {p50:.2f} p99 {p99:.2f} ms')
gaps = sorted(y[0] - x[0] for v in seen.values() for x, y in zip(v, v[1:]))
lost = sum(((y[1] - x[1]) & 0xffff) != 1 for v in seen.values() for x, y in zip(v, v[1:]))
dev = sorted(abs(g - 0.02) for g in gaps)
q = lambda v, p: v[int(len(v) * p)] * 1000
print(f'{n} streams: {len(seen)} seen, {len(gaps)} gaps, {lost} not in sequence, {(b-a)/dt*100:.2f} % of a core, {(b-a)/dt/n*100:.4f} % a stream; |gap-20ms| p50 {q(dev,.5):.3f} p99 {q(dev,.99):.3f} ms')
idle = []
end = time.monotonic() + 4
while time.monotonic() < end:
    x = time.monotonic(); time.sleep(0.02); idle.append(abs(time.monotonic() - x - 0.02))
idle.sort(); print(f'idle timer of 20 ms in this process: p50 {q(idle,.5):.3f} p99 {q(idle,.99):.3f} ms')
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sink.bind(('127.0.0.1', 0)); p2 = sink.getsockname()[1]
f = subprocess.Popen(['ffmpeg', '-nostdin', '-loglevel', 'quiet', '-stream_loop', '-1', '-re', '-i', sys.argv[5], '-c:a', 'pcm_mulaw', '-f', 'rtp', f'rtp://127.0.0.1:{p2}?pkt_size=172'], stdin=subprocess.DEVNULL)
time.sleep(3); a = cpu(f.pid); t = time.monotonic(); time.sleep(20); b = cpu(f.pid); dt = time.monotonic() - t
f.kill(); f.wait()
print(f"ffmpeg's own sender: {(b-a)/dt*100:.4f} % a stream")
for i, (to, h) in enumerate(calls):
    s.sendto(f'BYE sip:annc@127.0.0.1:{sip[1]} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKb{i}\r\nTo: {to}\r\nCSeq: 2 BYE\r\n{h}Content-Length: 0\r\n\r\n'.encode(), sip)
