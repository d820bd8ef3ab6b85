"""A wire that can be cut: TCP connections to its port go on to the gateway's, until cut(), again from mend()."""
import socket, threading
from harness import wait_for


class Relay:
    def __init__(self, port):
        self.to, self.pairs, self.is_cut, self.lock, self.octets = port, [], False, threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = None if self.is_cut else socket.create_connection(("127.0.0.1", self.to), 30)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            with self.lock:
                self.pairs += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(1 << 16):
                b.sendall(data)
                self.octets += len(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self, stay=True):
        """Ends every connection; with `stay`, new ones are refused until mend()."""
        self.is_cut = stay
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for s in pairs:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return len(pairs) // 2

    def mend(self):
        self.is_cut = False

    def flows(self, octets=1 << 18, seconds=120):
        """Waits until so much more went through."""
        before = self.octets
        return wait_for(lambda: self.octets > before + octets, seconds)
