"""Memory of a proxy for each client that is logged in and says nothing."""
import base64
import hashlib
import hmac
import os
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from measure import resident_kb

SETTLE = 3  # seconds between the last login and the look at the memory


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the proxy closed the connection")
        data += part
    return data


def frame(connection):
    kind, size = struct.unpack("!cI", receive(connection, 5))
    body = receive(connection, size - 4)
    if kind == b"E":
        raise ConnectionError(body.decode(errors="replace"))
    return kind, body


def log_in(url):
    """A connection that has been let in by SCRAM-SHA-256 and waits."""
    u = urlsplit(url)
    connection = socket.create_connection((u.hostname, u.port))
    startup = f"user\0{u.username}\0database\0{u.path.lstrip('/')}\0\0".encode()
    connection.sendall(struct.pack("!II", len(startup) + 8, 196608) + startup)
    frame(connection)  # AuthenticationSASL
    nonce = base64.b64encode(os.urandom(18)).decode()
    first = f"n=,r={nonce}"
    offer = f"n,,{first}".encode()
    connection.sendall(message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(offer)) + offer))
    server_first = frame(connection)[1][4:].decode()
    fields = dict(part.split("=", 1) for part in server_first.split(","))
    final = f"c=biws,r={fields['r']}"
    salted = hashlib.pbkdf2_hmac("sha256", u.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), f"{first},{server_first},{final}".encode(), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    connection.sendall(message(b"p", f"{final},p={proof}".encode()))
    while frame(connection)[0] != b"Z":
        pass
    return connection


def bytes_per_client(url, pid, clients):
    """Resident memory of the proxy for each of `clients` idle clients, in bytes; the proxy is warm before."""
    with ThreadPoolExecutor(8) as workers:
        for connection in workers.map(lambda _: log_in(url), range(50)):
            connection.close()
        time.sleep(SETTLE)
        before = resident_kb(pid)
        connections = list(workers.map(lambda _: log_in(url), range(clients)))
        time.sleep(SETTLE)
        after = resident_kb(pid)
    for connection in connections:
        connection.close()
    return {"clients": clients, "rss_kb_before": before, "rss_kb_with_clients": after, "bytes_per_client": round((after - before) * 1024 / clients)}
