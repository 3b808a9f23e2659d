#!/usr/bin/env python3
"""A link between two network namespaces with delay and loss, where the kernel has no netem.

usage: link.py NAMESPACE ADDRESS NAMESPACE ADDRESS DELAY_MS LOSS

Makes a TUN device `link0` in each namespace and passes packets between them: each is dropped with probability LOSS, in
either direction, or arrives after DELAY_MS. Says `up` when it passes, and ends with its standard input.
"""

import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
CLONE_NEWNET = 0x40000000
MAX_WAITING = 4_000


def enter(path):
    with open(path) as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), path)


def open_tun(namespace, address, peer):
    enter(f'/run/netns/{namespace}')
    device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack('16sH', b'link0', IFF_TUN_NO_PI))
    ip = ['ip', '-n', namespace]
    subprocess.run([*ip, 'addr', 'add', address, 'peer', peer, 'dev', 'link0'], check=True)
    subprocess.run([*ip, 'link', 'set', 'link0', 'up', 'mtu', '1400'], check=True)
    # What most machines have: BBR would hardly notice the loss.
    subprocess.run([*ip, 'route', 'replace', peer, 'dev', 'link0', 'congctl', 'cubic'], check=True)
    return device


def main():
    near_name, near_address, far_name, far_address, delay_ms, loss = sys.argv[1:]
    delay, loss = float(delay_ms) / 1000, float(loss)
    near = open_tun(near_name, near_address, far_address)
    far = open_tun(far_name, far_address, near_address)
    ways = {near: (far, deque()), far: (near, deque())}
    print('up', flush=True)
    while True:
        now = time.monotonic()
        due = [waiting[0][0] for _, waiting in ways.values() if waiting]
        timeout = max(0, min(due) - now) if due else None
        readable, _, _ = select.select([near, far, sys.stdin], [], [], timeout)
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 1):
            return
        now = time.monotonic()
        for device, (other, waiting) in ways.items():
            while True:
                try:
                    packet = os.read(device, 2_000)
                except BlockingIOError:
                    break
                if random.random() >= loss and len(waiting) < MAX_WAITING:
                    waiting.append((now + delay, packet))
            while waiting and waiting[0][0] <= now:
                try:
                    os.write(other, waiting.popleft()[1])
                except OSError:
                    pass


main()
