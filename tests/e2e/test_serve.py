"""capstan serve: every answer it can give, the same captions as the command line, and the way it ends."""

import base64
import concurrent.futures
import json
import random
import signal
import socket
import struct
import time

import pytest
import serve_load
from serving import REQUESTS, chunks, form_request, json_request, multipart, raw_request, serving, wait_until

LIMIT = 200_000  # bytes of a request


@pytest.fixture(scope="module")
def captions(capstan, run, pictures):
    files = sorted(pictures.values())
    return serve_load.reference_captions(capstan.path, run, files, capstan.environment())


@pytest.fixture(scope="module")
def pictures(dataset):
    return {file.name: file for file in sorted((dataset / "validation").glob("*.jpg"))}


@pytest.fixture(scope="module")
def picture(pictures):
    return pictures["000001.jpg"].read_bytes()


@pytest.fixture(scope="module")
def start(capstan, run, tmp_path_factory):
    """start("key=value", ...) as a context manager."""

    def start(*options):
        log = tmp_path_factory.mktemp("serve") / "log"
        options = (f"max_request_bytes={LIMIT}", *options)
        return serving(capstan.path, run, log, *options, environment=capstan.environment())

    return start


@pytest.fixture(scope="module")
def served(start):
    with start("alternatives=3", "max_pixels=100000", "access_log=true") as server:
        yield server


@pytest.fixture(scope="module")
def plain(start):
    with start() as server:
        yield server


def refused(answer, status, *words):
    """The status, in the answer as well, and every word a reader needs."""
    found, document = answer
    assert found == status, document
    assert document["status"] == status
    for word in words:
        assert word in document["error"], document


@pytest.mark.parametrize("request_of", REQUESTS)
def test_captions_are_those_of_the_command_line(plain, pictures, captions, request_of):
    assert len(set(captions.values())) > 3
    for name, file in pictures.items():
        status, answer = plain.json("POST", "/caption", *request_of(file.read_bytes()))
        assert status == 200, answer
        assert answer["caption"] == captions[name]
        assert answer["milliseconds"] > 0


def test_alternatives_are_those_of_the_command_line(capstan, run, served, pictures):
    file = pictures["000002.jpg"]
    line = json.loads(capstan("caption", run, file, "alternatives=3", "output=json", check=True).stdout)
    status, answer = served.json("POST", "/caption", *form_request(file.read_bytes()))
    assert status == 200
    assert [one["text"] for one in answer["captions"]] == [one["caption"] for one in line["alternatives"]]
    assert [one["score"] for one in answer["captions"]] == pytest.approx(
        [one["score"] for one in line["alternatives"]], abs=1e-4
    )
    assert answer["caption"] == answer["captions"][0]["text"]


def test_fewer_alternatives_may_be_asked_for(served, picture):
    kind, form = multipart([("alternatives", b"2"), ("image", picture, "a.jpg", "image/jpeg")])
    for path, body, headers in (
        ("/caption?alternatives=2", *raw_request(picture)),
        ("/caption", form, {"Content-Type": kind}),
        ("/caption", *json_request(picture, alternatives=2)),
    ):
        status, answer = served.json("POST", path, body, headers)
        assert status == 200, answer
        assert len(answer["captions"]) == 2
    refused(served.json("POST", "/caption?alternatives=4", *raw_request(picture)), 400, "alternatives=4")
    for value in ("0", "many", "2x", "99999999999999"):
        refused(served.json("POST", f"/caption?alternatives={value}", *raw_request(picture)), 400, value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_every_picture_format_is_read(served, form, tmp_path):
    from PIL import Image

    file = tmp_path / "picture"
    Image.new("RGB", (40, 32), (200, 30, 30)).save(file, format=form)
    status, answer = served.json("POST", "/caption", file.read_bytes(), {"Content-Type": f"image/{form.lower()}"})
    assert status == 200, answer
    assert answer["caption"]


def test_a_data_url_and_broken_lines_are_base64_too(served, picture):
    text = base64.encodebytes(picture).decode()
    for image in (text, "data:image/jpeg;base64," + text.replace("\n", ""), text.replace("\n", "").rstrip("=")):
        body = json.dumps({"image": image}).encode()
        assert served.json("POST", "/caption", body, {"Content-Type": "application/json"})[0] == 200


@pytest.mark.parametrize(
    "body, words",
    [
        (b"", ["no JSON"]),
        (b"{", ["no JSON"]),
        (b"[]", ["list"]),
        (b"3", ["no object"]),
        (b"{}", ["image"]),
        (b'{"image": 3}', ["image"]),
        (b'{"image": {"a": 1}}', ["object"]),
        (b'{"image": ""}', ["empty"]),
        (b'{"image": "a*b="}', ["base64"]),
        (b'{"image": "abcde"}', ["base64"]),
        (b'{"image": "ab==cd"}', ["base64"]),
        (b'{"imag": "abcd"}', ["imag", "image"]),
        (b'{"image": "abcd", "alternatives": -1}', ["-1"]),
        (b'{"image": "abcd", "alternatives": "x"}', ["x"]),
        (b'{"image": "\xff\xfe"}', ["no JSON"]),
        (b"[" * 100_000, ["list"]),
    ],
)
def test_wrong_json_is_refused(served, body, words):
    refused(served.json("POST", "/caption", body, {"Content-Type": "application/json"}), 400, *words)


def test_wrong_forms_are_refused(served, picture):
    def send(*fields):
        kind, body = multipart(fields)
        return served.json("POST", "/caption", body, {"Content-Type": kind})

    image = ("image", picture, "a.jpg", "image/jpeg")
    refused(send(("picture", picture)), 400, "picture", "image")
    refused(send(("alternatives", b"1")), 400, "image")
    refused(send(image, image), 400, "twice")
    refused(send(("image", b"", "a.jpg", "image/jpeg")), 400, "empty")
    refused(send(("image", b"text", "a.txt", "text/plain")), 415, "text/plain")
    refused(send(("alternatives", b"1" * 100), image), 400, "alternatives")
    kind, body = multipart([image])
    for wrong in (body[:-10], body.replace(b"name=", b"nme="), b"", b"x" * 1000):
        refused(served.json("POST", "/caption", wrong, {"Content-Type": kind}), 400)
    refused(served.json("POST", "/caption", body, {"Content-Type": "multipart/form-data"}), 400)


def test_other_types_are_refused(served, picture):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "video/mp4", "nonsense"):
        refused(served.json("POST", "/caption", picture, {"Content-Type": kind}), 415, kind, "image/jpeg")
    headers = {"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}
    refused(served.json("POST", "/caption", picture, headers), 415, "gzip")


def test_unreadable_pictures_say_why(served, picture, tmp_path):
    from PIL import Image

    refused(served.json("POST", "/caption", *form_request(picture[:300], "half.jpg")), 422, "half.jpg", "JPEG")
    refused(served.json("POST", "/caption", *raw_request(b"this is no picture")), 422, "picture")
    Image.new("RGB", (400, 300)).save(tmp_path / "large.png")
    refused(served.json("POST", "/caption", *raw_request((tmp_path / "large.png").read_bytes())), 422, "400", "300")
    # A name that is no text, and that would be an HTML tag, comes back as JSON.
    status, answer = served.json("POST", "/caption", *form_request(b"x", "<b>\\\x01"))
    assert status == 422 and answer["error"]


def test_what_is_too_large_is_refused_with_and_without_a_length(served):
    body = bytes(LIMIT + 1)
    refused(served.json("POST", "/caption", *raw_request(body)), 413, "larger")
    for body_of in (raw_request, form_request, json_request):
        large, headers = body_of(body)
        headers = {**headers, "Transfer-Encoding": "chunked"}
        connection = served.connect()
        connection.request("POST", "/caption", body=chunks(large, 5000), headers=headers, encode_chunked=True)
        response = connection.getresponse()
        refused((response.status, json.loads(response.read())), 413, "larger")
        connection.close()


def test_a_client_that_asks_first_is_refused_before_it_sends(served):
    head = "POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n"
    with served.raw() as client:
        client.sendall(head.format(LIMIT + 1).encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    with served.raw() as client:
        client.sendall(head.format(4).encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"abcd")
        assert client.recv(4096).startswith(b"HTTP/1.1 422 ")


def test_chunks_are_read(served, picture):
    connection = served.connect()
    headers = {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/caption", body=chunks(picture, 100), headers=headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


def test_unknown_paths_and_methods_are_refused(served, picture):
    refused(served.json("GET", "/nothing"), 404, "/caption")
    refused(served.json("POST", "/nothing", *raw_request(picture)), 404)
    refused(served.json("GET", "/caption"), 405, "POST")
    refused(served.json("PUT", "/caption", *raw_request(picture)), 405, "POST")
    refused(served.json("POST", "/health", *raw_request(picture)), 405, "GET")
    assert served.request("GET", "/caption")[1]["Allow"] == "POST"


def test_health_and_page_and_head(served):
    assert served.json("GET", "/health") == (200, {"status": "ready"})
    status, headers, body = served.request("GET", "/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"http://" not in body and b"https://" not in body
    status, headers, nothing = served.request("HEAD", "/")
    assert status == 200 and nothing == b"" and int(headers["Content-Length"]) == len(body)


def test_metrics_count_what_was_asked(start, picture):
    with start() as server:
        for _ in range(3):
            assert server.json("POST", "/caption", *raw_request(picture))[0] == 200
        assert server.json("POST", "/caption", *raw_request(b"x"))[0] == 422
        assert server.request("GET", "/nothing")[0] == 404
        metrics = server.metrics()
        assert metrics['capstan_requests_total{path="/caption",code="200"}'] == 3
        assert metrics['capstan_requests_total{path="/caption",code="422"}'] == 1
        assert metrics['capstan_requests_total{path="other",code="404"}'] == 1
        assert metrics["capstan_caption_seconds_count"] == 3
        assert metrics['capstan_caption_seconds_bucket{le="+Inf"}'] == 3
        assert 0 < metrics["capstan_caption_seconds_sum"] < 30
        assert metrics["capstan_pictures_total"] == 3
        assert metrics["capstan_steps_total"] >= 3
        assert metrics["capstan_waiting"] == metrics["capstan_running"] == metrics["capstan_decoding"] == 0
        assert metrics["capstan_connections"] == 1
        assert metrics["process_resident_memory_bytes"] == pytest.approx(server.resident_bytes(), rel=0.2)


def test_access_log_has_a_line_for_each_request(served, picture):
    served.json("POST", "/caption", *raw_request(picture))
    wait_until(lambda: "127.0.0.1 POST /caption 200 " in served.log.read_text())


def test_a_client_that_leaves_is_counted_and_holds_nobody_up(plain, picture):
    before = plain.metrics()["capstan_aborted_requests_total"]
    for _ in range(20):
        with plain.raw() as client:
            client.sendall(b"POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\nabc")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: plain.metrics()["capstan_aborted_requests_total"] == before + 20)
    wait_until(lambda: plain.metrics()["capstan_connections"] == 1)
    assert plain.json("POST", "/caption", *raw_request(picture))[0] == 200


def test_a_silent_or_slow_client_is_sent_away(start, picture):
    with start("request_timeout=1") as server:
        with server.raw() as client:
            client.sendall(b"POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\nabc")
            assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert server.json("POST", "/caption", *raw_request(picture))[0] == 200


def test_a_caption_that_takes_too_long_is_given_up(start, pictures):
    with start("request_timeout=0.001", "num_beams=8", "max_new_tokens=60", "min_new_tokens=60") as server:
        statuses = {server.json("POST", "/caption", *raw_request(f.read_bytes()))[0] for f in pictures.values()}
        # The time may be over while the request still arrives; a caption that is there when somebody looks is given.
        assert 504 in statuses and statuses <= {504, 408, 200}
        assert server.json("GET", "/health")[0] == 200


def test_a_full_queue_is_refused_and_empties(start, picture):
    options = ("max_waiting=1", "batch_size=1", "threads=1", "num_beams=8", "max_new_tokens=60", "min_new_tokens=60")
    with start(*options) as server:
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: server.request("POST", "/caption", *raw_request(picture)), range(72)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 503}
        for status, headers, body in answers:
            if status == 503:
                assert headers["Retry-After"] == "1"
                assert "waiting" in json.loads(body)["error"]
        assert server.json("POST", "/caption", *raw_request(picture))[0] == 200


def test_requests_are_captioned_together(start, pictures, captions):
    with start("min_new_tokens=1") as server:
        files = list(pictures.values()) * 20

        def ask(file):
            status, answer = server.json("POST", "/caption", *raw_request(file.read_bytes()))
            return status == 200 and answer["caption"] == captions[file.name]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            assert all(pool.map(ask, files))
        metrics = server.metrics()
        assert metrics["capstan_rows_total"] / metrics["capstan_steps_total"] > 1.2


def test_many_connections_are_served_or_told_to_come_back(start):
    with start("max_connections=40") as server:
        clients = [server.raw() for _ in range(100)]
        for client in clients:
            client.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        heads = [client.recv(4096)[:12] for client in clients]
        assert heads.count(b"HTTP/1.1 200") == 40
        assert heads.count(b"HTTP/1.1 503") == 60
        for client in clients:
            client.close()
        wait_until(lambda: server.request("GET", "/health")[0] == 200)


def test_garbage_does_not_end_the_server(plain, picture):
    draw = random.Random(5)
    head = b"POST /caption HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    for number in range(300):
        noise = draw.randbytes(draw.randrange(1, 3000))
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        data = [
            noise,
            noise + b"\r\n\r\n",
            head + noise,
            head + b"Content-Length: %d\r\n\r\n" % len(noise) + noise,
            chunked + noise,
            chunked + b"ffffffffffffffffff\r\n" + noise,
            b"GET /?" + noise.replace(b"\n", b"%0a") + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nRange: bytes=0-,1-" + b",2-" * 500 + b"\r\n\r\n",
        ]
        with plain.raw() as client:
            try:
                client.sendall(data[number % len(data)])
                client.shutdown(socket.SHUT_WR)
                client.recv(4096)
            except ConnectionError:
                pass
    assert plain.process.poll() is None
    assert plain.json("POST", "/caption", *raw_request(picture))[0] == 200


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_with_its_code(start, number, code):
    with start() as server:
        assert server.stop(number) == code
        assert "every request was answered" in server.log.read_text()
        with pytest.raises(ConnectionRefusedError):
            server.raw()


def test_draining_loses_no_request(start, pictures, captions):
    data = {name: file.read_bytes() for name, file in pictures.items()}
    with start("num_beams=2") as server:
        expected = {
            name: server.json("POST", "/caption", *raw_request(picture))[1]["caption"] for name, picture in data.items()
        }
        tally, code, were_open = serve_load.drain(server, data, expected, 16)
        assert were_open > 4
        assert not tally.problems
        assert code == 143


def test_an_upload_under_way_is_still_answered(start, picture):
    with start() as server:
        idle = server.connect()
        idle.request("GET", "/health")
        idle.getresponse().read()
        with server.raw() as client:
            head = f"POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            client.sendall(head.encode() + picture[:100])
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            idle.request("GET", "/health")
            response = idle.getresponse()
            assert response.status == 503 and json.loads(response.read()) == {"status": "draining"}
            client.sendall(picture[100:])
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(30) == 143


def test_options_are_checked(capstan, run, tmp_path):
    cases = (("port=70000", "65535"), ("por=1", "port"), ("dtype=int7", "int8"), ("num_beams=0", "num_beams"))
    for option, word in cases:
        result = capstan("serve", run, option)
        assert result.returncode == 2, result.stdout + result.stderr
        assert word in result.stderr
    assert capstan("serve", tmp_path, "port=0").returncode == 1
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = capstan("serve", run, f"port={taken.getsockname()[1]}")
        assert result.returncode == 2
        assert str(taken.getsockname()[1]) in result.stderr


def test_load_with_bad_requests_among_good_ones(start, pictures, captions):
    data = {name: file.read_bytes() for name, file in pictures.items()}
    with start(f"max_request_bytes={serve_load.MAX_REQUEST_BYTES}") as server:
        serve_load.load(server, data, captions, 200, 32, 0.05)
        warm = server.resident_bytes()
        tally, _ = serve_load.load(server, data, captions, 1000, 32, 0.02)
        assert not tally.problems
        assert sum(tally.codes.values()) == 1000
        assert tally.codes[200] > 950
        assert server.resident_bytes() - warm < 24 << 20
        ended, code, _ = serve_load.drain(server, data, captions, 32)
        assert not ended.problems and code == 143
