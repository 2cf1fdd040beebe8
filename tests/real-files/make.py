"""Fills a folder with real files, for the tests of the file rules: each is written by a program that people use, or
comes from Apache Tika's test documents. Nothing is made to look like a format by writing its signature.

    make.py FOLDER JARS

    FOLDER/accepted/EXTENSION/   files that belong to the extension
    FOLDER/executables/          what runs
    FOLDER/pages/                web pages that attachment sources send instead of a file, and HTML with a disguise
    FOLDER/others/               files of kinds that are not accepted, under their usual extensions
    FOLDER/behind-the-head/      accepted files with a program at their end, where the rules do not look
    FOLDER/media-types.txt       what Python's servers declare for each accepted extension that they know

JARS is the folder of the jars that pom.xml names.
"""

import csv
import http.server
import io
import json
import mimetypes
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from xml.dom import minidom

import av
import docx
import fpdf
import lxml.etree
import lxml.html
import openpyxl
import pillow_heif
import py7zr
import pylnk3
import setuptools
import tablib
import wasmtime
import xlsxwriter
import xlwt
from PIL import Image, ImageDraw, features
from reportlab.pdfgen import canvas

ACCEPTED = "pdf xml txt csv json html htm xls xlsx doc docx esx jpg jpeg png gif bmp tiff tif webp heic heif mov mp4".split()

# Nothing is learnt from a megabyte behind the first 8 KiB.
LARGEST = 1_000_000

ROWS = [["claim", "room", "damage", "amount"], ["0001", "Küche", "water", 1234.5], ["0002", "roof", "hail", 99]]
TEXT = "Claim 0001\nThe roof was damaged by hail. Größe: 12 m²\n" * 20


class Samples:
    """Where the files go. A name that is taken is a mistake: a sample would be lost."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, *parts):
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), path
        return path

    def accepted(self, name):
        return self.path("accepted", name.rsplit(".", 1)[1], name)

    def executable(self, name):
        return self.path("executables", name)

    def page(self, name):
        return self.path("pages", name)

    def other(self, name):
        return self.path("others", name)


# ------------------------------------------------------------------------------------------------------------- pictures


def picture(mode="RGB", shade=0):
    image = Image.new("RGB", (64, 48), (200, 220, 255 - shade))
    ImageDraw.Draw(image).polygon([(8, 40), (32, 8 + shade // 8), (56, 40)], fill=(120, shade, 40))
    return image.convert(mode)


def pictures(to):
    first, rest = picture(), [picture(shade=shade) for shade in (80, 160)]
    exif = Image.Exif()
    exif[0x010F] = "Camera"  # Make
    for extension in ("jpg", "jpeg"):
        picture().save(to.accepted(f"pillow.{extension}"))
        picture().save(to.accepted(f"pillow-progressive.{extension}"), progressive=True, exif=exif)
    picture("L").save(to.accepted("pillow-grey.jpg"))
    picture("CMYK").save(to.accepted("pillow-cmyk.jpg"))
    # Two pictures in one file, as phones write them for depth and brightness.
    # (Pillow leaves JPEG's settings in its pictures, so they are copies.)
    copies = [frame.copy() for frame in rest]
    picture().save(to.accepted("pillow-multi-picture.jpg"), "MPO", save_all=True, append_images=copies)

    for mode in ("1", "L", "P", "RGB", "RGBA", "I;16"):
        image = (
            picture("L").convert("I").point(lambda value: value * 256).convert(mode)
            if mode == "I;16"
            else picture(mode)
        )
        image.save(to.accepted(f"pillow-{mode.replace(';', '-')}.png"))
    first.save(to.accepted("pillow-animated.png"), save_all=True, append_images=rest)

    picture("P").save(to.accepted("pillow.gif"))
    first.save(to.accepted("pillow-animated.gif"), save_all=True, append_images=rest, duration=100, loop=0)

    for mode in ("1", "L", "P", "RGB", "RGBA"):
        picture(mode).save(to.accepted(f"pillow-{mode}.bmp"))

    for extension in ("tif", "tiff"):
        picture().save(to.accepted(f"pillow.{extension}"))
        for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate"):
            picture().save(to.accepted(f"pillow-{compression}.{extension}"), compression=compression)
    picture("1").save(to.accepted("pillow-fax.tif"), compression="group4")
    picture().save(to.accepted("pillow-big.tif"), big_tiff=True)
    first.save(to.accepted("pillow-pages.tiff"), save_all=True, append_images=rest)
    Image.frombytes("I;16B", (8, 8), bytes(128)).save(to.accepted("pillow-big-endian.tif"))

    picture().save(to.accepted("pillow.webp"))
    picture("RGBA").save(to.accepted("pillow-lossless.webp"), lossless=True)
    picture().save(to.accepted("pillow-exif.webp"), exif=exif)
    first.save(to.accepted("pillow-animated.webp"), save_all=True, append_images=rest)

    # As phones write them.
    pillow_heif.register_heif_opener()
    for extension in ("heic", "heif"):
        picture().save(to.accepted(f"pillow-heif.{extension}"), exif=exif)
        first.save(to.accepted(f"pillow-heif-pages.{extension}"), save_all=True, append_images=rest)

    foreign = {"jp2": "jpg_2000", "avif": "avif", "tga": None, "ico": None, "pcx": None, "icns": None, "ppm": None}
    for extension, feature in foreign.items():
        if feature is None or features.check(feature):
            picture().save(to.other(f"pillow.{extension}"))


# ---------------------------------------------------------------------------------------------------------------- films


def films(to):
    # The container decides the brand in the first bytes: isom, mp42, M4V, 3gp4, f4v, qt, …
    made = [
        ("ffmpeg-mpeg4.mp4", "mp4", "mpeg4", {}),
        ("ffmpeg-h264.mp4", "mp4", "libx264", {}),
        ("ffmpeg-faststart.mp4", "mp4", "libx264", {"movflags": "faststart"}),
        ("ffmpeg-fragmented.mp4", "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("ffmpeg-dash.mp4", "mp4", "libx264", {"movflags": "dash"}),
        ("ffmpeg-hevc.mp4", "mp4", "libx265", {}),
        ("ffmpeg-ipod.mp4", "ipod", "libx264", {}),
        ("ffmpeg-3gp.mp4", "3gp", "mpeg4", {}),
        ("ffmpeg-f4v.mp4", "f4v", "libx264", {}),
        ("ffmpeg-h264.mov", "mov", "libx264", {}),
        ("ffmpeg-faststart.mov", "mov", "libx264", {"movflags": "faststart"}),
        ("ffmpeg-mjpeg.mov", "mov", "mjpeg", {}),
        ("ffmpeg-prores.mov", "mov", "prores", {}),
        ("ffmpeg-mp4-brand.mov", "mp4", "libx264", {}),
    ]
    for name, container, codec, options in made:
        film(to.accepted(name), container, codec, options)
    rearranged_films(to)
    for extension, codec in (
        ("avi", "mpeg4"),
        ("mkv", "libx264"),
        ("webm", "libvpx"),
        ("flv", "flv"),
        ("mpg", "mpeg1video"),
    ):
        film(to.other(f"ffmpeg.{extension}"), {"mkv": "matroska", "mpg": "mpeg"}.get(extension, extension), codec, {})


def rearranged_films(to):
    """QuickTime files that begin with other atoms than `ftyp`, as cameras and editors of before there were brands wrote them."""
    film_bytes = to.folder.joinpath("accepted/mov/ffmpeg-faststart.mov").read_bytes()
    atoms = dict(top_level(film_bytes))
    moov, mdat = atoms[b"moov"], atoms[b"mdat"]
    plain = film_bytes.index(mdat) + 8
    atom = lambda kind, body=b"": struct.pack(">I4s", 8 + len(body), kind) + body
    long_mdat = struct.pack(">I4sQ", 1, b"mdat", len(mdat) + 8) + mdat[8:]
    beginnings = {
        "moov": b"",
        "wide": atom(b"wide"),
        "free": atom(b"free", bytes(64)),
        "skip": atom(b"skip", bytes(64)),
        "uuid": atom(b"uuid", bytes(64)),
        "udta": atom(b"udta", bytes(4)),
        "junk": atom(b"junk", bytes(64)),
        "pict": atom(b"PICT", bytes(64)),
        "long-free": struct.pack(">I4sQ", 1, b"free", 80) + bytes(64),
    }
    for name, begin in beginnings.items():
        for length, media in (("", mdat), ("-long-mdat", long_mdat)):
            before = len(begin) + len(moov) + len(media) - len(mdat) + 8
            path = to.accepted(f"atoms-{name}{length}.mov")
            path.write_bytes(begin + with_offsets(moov, before - plain) + media)
            readable(path)
    # The media first, to the end of which its size leads.
    path = to.accepted("atoms-mdat-first.mov")
    path.write_bytes(long_mdat + with_offsets(moov, 16 - plain))
    readable(path)


def top_level(data):
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at : at + size]
        at += size


def with_offsets(moov, moved):
    """The `moov` atom of a film whose media lies `moved` bytes further on."""
    changed, at = bytearray(moov), moov.find(b"stco")
    while at >= 0:
        (count,) = struct.unpack_from(">I", moov, at + 8)
        for entry in range(at + 12, at + 12 + 4 * count, 4):
            struct.pack_into(">I", changed, entry, struct.unpack_from(">I", moov, entry)[0] + moved)
        at = moov.find(b"stco", at + 1)
    return bytes(changed)


def readable(path):
    """FFmpeg is the judge of whether these are films."""
    with av.open(str(path)) as film_file:
        assert sum(1 for _ in film_file.decode(video=0)) == 5, path


def film(path, container, codec, options):
    pixels = {"mjpeg": "yuvj420p", "prores": "yuv422p10le"}.get(codec, "yuv420p")
    with av.open(str(path), "w", format=container, options=options) as output:
        # The old 3GP and MPEG codecs know but a few rates and sizes.
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 176, 144, pixels
        for shade in range(5):
            image = picture(shade=shade * 40).resize((176, 144))
            output.mux(stream.encode(av.VideoFrame.from_image(image)))
        output.mux(stream.encode())


# ------------------------------------------------------------------------------------------------------------ documents


def documents(to):
    for version in ((1, 4), (1, 7)):
        page = canvas.Canvas(str(to.accepted(f"reportlab-{version[0]}.{version[1]}.pdf")), pdfVersion=version)
        page.drawString(72, 720, TEXT[:60])
        page.save()
    page = fpdf.FPDF()
    page.add_page()
    page.set_font("helvetica")
    page.multi_cell(0, text=TEXT)
    page.output(str(to.accepted("fpdf2.pdf")))
    # Behind what scripts and gateways put before it; readers take the header anywhere in the first 1024 bytes.
    pdf = to.folder.joinpath("accepted/pdf/fpdf2.pdf").read_bytes()
    for name, before in (
        ("php-notice", b"<br />\n<b>Notice</b>:  Undefined index: a in <b>/var/www/get.php</b> on line <b>7</b><br />\n"),
        ("multipart", b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: application/pdf\r\n\r\n'),
        ("bom", b"\xef\xbb\xbf"),
    ):
        to.accepted(f"fpdf2-{name}.pdf").write_bytes(before + pdf)
    picture().save(to.accepted("pillow-scan.pdf"))

    book = xlwt.Workbook()
    sheet = book.add_sheet("claims")
    for number, row in enumerate(ROWS):
        for column, value in enumerate(row):
            sheet.write(number, column, value)
    book.save(str(to.accepted("xlwt.xls")))
    # The workbook without the container around it.
    to.accepted("xlwt-stream.xls").write_bytes(book.get_biff_data())
    table = tablib.Dataset(*ROWS[1:], headers=ROWS[0])
    to.accepted("tablib-html.xls").write_text(table.export("html"), encoding="utf-8")
    to.accepted("tablib-tsv.xls").write_text(table.export("tsv"), encoding="utf-8", newline="")
    web_archives(to)

    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    book.save(to.accepted("openpyxl.xlsx"))
    for memory in (False, True):
        book = xlsxwriter.Workbook(str(to.accepted(f"xlsxwriter-{memory}.xlsx")), {"constant_memory": memory})
        sheet = book.add_worksheet()
        for number, row in enumerate(ROWS):
            sheet.write_row(number, 0, row)
        book.close()

    document = docx.Document()
    document.add_heading("Claim 0001")
    document.add_paragraph(TEXT)
    photo = io.BytesIO()
    picture().save(photo, "PNG")
    document.add_picture(photo)
    document.save(str(to.accepted("python-docx.docx")))

    # The same members in other orders, and behind the folder that signing programs put first.
    manifest = [("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n")]
    for name in ("python-docx.docx", "openpyxl.xlsx"):
        stem, extension = name.split(".")
        with zipfile.ZipFile(to.folder.joinpath("accepted", extension, name)) as package:
            members = [(member, package.read(member)) for member in package.namelist()]
        # Nothing asks for an order; the largest member first is the hardest to see.
        orders = {"reversed": members[::-1], "sorted": sorted(members), "manifest": manifest + members}
        for order, ordered in orders.items():
            with zipfile.ZipFile(to.accepted(f"{stem}-{order}.{extension}"), "w", zipfile.ZIP_DEFLATED) as package:
                for member, data in ordered:
                    package.writestr(member, data)

    # Nothing but Xactimate writes estimates. Packed as theirs are known to be: a ZIP archive of XML and pictures.
    estimate = lxml.etree.Element("XACTDOC")
    lxml.etree.SubElement(estimate, "XACTNET_INFO", transactionId="0001")
    photo = io.BytesIO()
    picture().save(photo, "JPEG")
    members = [
        ("XACTDOC.XML", lxml.etree.tostring(estimate, xml_declaration=True, encoding="UTF-8")),
        ("1.JPG", photo.getvalue()),
    ]
    for name, order, method in (
        ("zip-deflated", members, zipfile.ZIP_DEFLATED),
        ("zip-stored", members, zipfile.ZIP_STORED),
        ("zip-photo-first", members[::-1], zipfile.ZIP_STORED),
    ):
        with zipfile.ZipFile(to.accepted(f"{name}.esx"), "w", method) as archive:
            for member, data in order:
                archive.writestr(member, data)
    lxml.etree.ElementTree(estimate).write(to.accepted("lxml.esx"), xml_declaration=True, encoding="UTF-8")


def web_archives(to):
    """Pages as Office saves them, alone and as a message of related parts."""
    for extension, program, space in (("xls", "Excel.Sheet", "excel"), ("doc", "Word.Document", "word")):
        page = f"""<html xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:x="urn:schemas-microsoft-com:office:{space}">
<head><meta name=ProgId content={program}><title>Claim</title></head><body><table><tr><td>1</td></tr></table></body></html>"""
        to.accepted(f"page.{extension}").write_text(page, encoding="utf-8")
        message = MIMEMultipart("related", type="text/html")
        message.attach(MIMEText(page, "html", "utf-8"))
        to.accepted(f"email-mhtml.{extension}").write_bytes(message.as_bytes())


# ----------------------------------------------------------------------------------------------------------------- text


def texts(to):
    # As Notepad, Excel and DOS programs save it; the codecs are Python's.
    dos = TEXT.replace("\n", "\r\n")
    encodings = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "cp437", "utf-16-le", "utf-16-be")
    for encoding in encodings:
        to.accepted(f"{encoding}.txt").write_text(dos, encoding=encoding, newline="")
    # DOS programs end a text with Ctrl-Z, and printers take form feeds and escapes.
    to.accepted("ctrl-z.txt").write_bytes(dos.encode("cp437") + b"\x1a")
    to.accepted("printer.txt").write_bytes(b"\x1b&l0O" + dos.encode("cp437") + b"\x0c")
    # A report of a mainframe: EBCDIC.
    to.accepted("ebcdic.txt").write_bytes(TEXT.encode("cp1140", "replace"))

    tables = {"claims": ROWS, "mass": [["BM", "weight"], [22, 70]], "zone": [["MZ", "weight"], [22, 70]]}
    for name, rows in tables.items():
        for encoding, dialect in (
            ("utf-8", "excel"),
            ("utf-8-sig", "excel"),
            ("cp1252", "excel"),
            ("utf-16", "excel-tab"),
        ):
            with open(to.accepted(f"{name}-{encoding}.csv"), "w", encoding=encoding, newline="") as file:
                csv.writer(file, dialect).writerows(rows)

    claim = {"claim": "0001", "rows": ROWS, "note": TEXT}
    to.accepted("compact.json").write_text(json.dumps(claim))
    to.accepted("indented.json").write_text(json.dumps(claim, indent=2, ensure_ascii=False), encoding="utf-8")
    to.accepted("bom.json").write_text(json.dumps(claim), encoding="utf-8-sig")
    to.accepted("utf-16.json").write_text(json.dumps(claim, ensure_ascii=False), encoding="utf-16")
    to.accepted("list.json").write_text(json.dumps(ROWS))
    to.accepted("lines.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, value in (("text", "x"), ("number", -1.5), ("null", None), ("true", True)):
        to.accepted(f"{name}.json").write_text(json.dumps(value))

    root = lxml.etree.Element("claim", number="0001")
    lxml.etree.SubElement(root, "table").text = TEXT
    tree = lxml.etree.ElementTree(root)
    for encoding in ("UTF-8", "UTF-16", "ISO-8859-1"):
        tree.write(to.accepted(f"lxml-{encoding}.xml"), xml_declaration=True, encoding=encoding)
    tree.write(to.accepted("lxml-bare.xml"))
    to.accepted("lxml-bom.xml").write_bytes(b"\xef\xbb\xbf" + lxml.etree.tostring(tree))
    root.addprevious(lxml.etree.ProcessingInstruction("xml-stylesheet", 'type="text/xsl" href="claim.xsl"'))
    root.addprevious(lxml.etree.Comment(" exported "))
    tree.write(to.accepted("lxml-stylesheet.xml"), xml_declaration=True, encoding="UTF-8")
    to.accepted("lxml-comment-first.xml").write_bytes(lxml.etree.tostring(tree))
    table = lxml.etree.Element("table")
    lxml.etree.SubElement(table, "a").text = "1"
    lxml.etree.ElementTree(table).write(to.accepted("lxml-table.xml"))
    to.accepted("minidom.xml").write_text(
        minidom.parseString(lxml.etree.tostring(root)).toprettyxml(), encoding="utf-8"
    )
    xhtml = lxml.etree.ElementTree(
        lxml.etree.fromstring('<html xmlns="http://www.w3.org/1999/xhtml"><head/><body>1</body></html>')
    )
    xhtml.write(to.accepted("lxml-xhtml.xml"), xml_declaration=True, encoding="UTF-8")

    page = lxml.html.document_fromstring(f"<html><head><title>Claim</title></head><body><p>{TEXT}</p></body></html>")
    for extension in ("html", "htm"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
            markup = lxml.html.tostring(page, doctype="<!DOCTYPE html>", encoding="unicode")
            to.accepted(f"lxml-{encoding}.{extension}").write_text(markup, encoding=encoding)
        to.accepted(f"lxml-fragment.{extension}").write_bytes(lxml.html.tostring(page.find(".//p")))
        xhtml.write(to.accepted(f"lxml-xhtml.{extension}"), xml_declaration=True, encoding="UTF-8")


# ------------------------------------------------------------------------------------------------- what must not come in


def executables(to, jars):
    # Their names say where they come from.
    for number, program in enumerate((Path("/bin/true"), *sorted(Path(av.__file__).parent.glob("*.so"))[:2])):
        shutil.copy(program.resolve(), to.executable(f"elf-{number}-{program.name}"))
    windows = [*Path(setuptools.__file__).parent.glob("*.exe")]
    assert windows, "setuptools brings no Windows programs any more"
    for program in windows:
        shutil.copy(program, to.executable(f"setuptools-{program.name}"))
    programs = ("testLinux", "testMacOS", "testWindows")
    is_program = lambda name: name.startswith(programs) or name.endswith(".class")
    from_jar(jars, "code", lambda name: to.executable(f"tika-{name}") if is_program(name) else None)
    from_jar(jars, "pkg", lambda name: to.executable(f"tika-{name}") if name.endswith(".jar") else None)
    for jar in ("html", "xml"):
        shutil.copy(jar_of(jars, jar), to.executable(f"maven-{jar}.jar"))

    # Old enough for dx.
    java_class = to.folder / "executables" / "tika-AutoDetectParser.class"
    dex = to.executable("dx.dex")
    dx = ["java", "-cp", str(jars / "dx-1.7.jar"), "com.android.dx.command.Main", "--dex", "--no-strict"]
    # The class is named after its package's folder, which `--no-strict` ignores.
    subprocess.run([*dx, f"--output={dex}", str(java_class)], check=True)
    # Java asks for no order in an archive: the manifest may come last.
    with zipfile.ZipFile(to.executable("class-first.jar"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(java_class, "app/Main.class")
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: app.Main\r\n")
    with zipfile.ZipFile(to.executable("manifest-second.jar"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", TEXT)
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: app.Main\r\n")
        archive.write(java_class, "app/Main.class")
    with zipfile.ZipFile(to.executable("dex-first.apk"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(dex, "classes.dex")

    # pip writes the first, this project the second.
    shutil.copy(Path(sys.executable).with_name("pip"), to.executable("script-pip.py"))
    shutil.copy(Path(__file__).parent.parent / "run", to.executable("script-run.sh"))
    script = Path(__file__).parent.parent.joinpath("run").read_text()
    to.executable("script-bom.sh").write_text(script, encoding="utf-8-sig")
    to.executable("wasmtime.wasm").write_bytes(wasmtime.wat2wasm('(module (func (export "run")))'))
    pylnk3.for_file("C:\\Windows\\System32\\cmd.exe", str(to.executable("pylnk3.lnk")), "/c calc")
    # A PDF behind a program's header: readers take `%PDF-` anywhere in the first 1024 bytes.
    program = windows[0].read_bytes()
    pdf = to.folder.joinpath("accepted/pdf/fpdf2.pdf").read_bytes()
    to.executable("pdf-behind-pe-header.exe").write_bytes(program[:512] + pdf)

    # A ZIP archive is read from its end: Java runs these, and viewers show them.
    jar = to.folder.joinpath("executables/class-first.jar").read_bytes()
    for name in ("gif/pillow.gif", "jpg/pillow.jpg", "pdf/fpdf2.pdf"):
        carrier = to.folder.joinpath("accepted", name)
        to.path("behind-the-head", f"jar-behind-{carrier.name}").write_bytes(carrier.read_bytes() + jar)


def pages(to):
    to.page("python-http.server-404.html").write_bytes(error_page())
    page = lxml.html.document_fromstring("<html><head><title>Sign in</title></head><body><form></form></body></html>")
    for name, doctype in (
        ("html5", "<!DOCTYPE html>"),
        ("html4", '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">'),
        # What IIS says instead of a file.
        (
            "xhtml",
            '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">',
        ),
        ("bare", None),
        ("pdf-inside", "<!-- %PDF-1.7 --><!DOCTYPE html>"),
    ):
        markup = lxml.html.tostring(page, doctype=doctype, encoding="unicode")
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            to.page(f"lxml-{name}-{encoding}.html").write_text(markup, encoding=encoding)


def error_page():
    """What Python's own server says of a file that is not there."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        direct.open(f"http://127.0.0.1:{server.server_port}/missing.pdf")
    except urllib.error.HTTPError as error:
        return error.read()
    finally:
        server.shutdown()
    raise AssertionError("the server had the file")


def others(to):
    drawing = lxml.etree.fromstring('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    lxml.etree.ElementTree(drawing).write(to.other("lxml-script.svg"), xml_declaration=True, encoding="UTF-8")
    # How S3 says that a link has expired.
    error = lxml.etree.Element("Error")
    lxml.etree.SubElement(error, "Code").text = "AccessDenied"
    lxml.etree.ElementTree(error).write(to.other("lxml-s3-error.xml"), xml_declaration=True, encoding="UTF-8")

    member = to.folder.joinpath("accepted/pdf/fpdf2.pdf")
    for extension in ("tar", "tar.gz", "tar.bz2", "tar.xz"):
        with tarfile.open(to.other(f"python.{extension}"), "w:" + extension[4:]) as archive:
            archive.add(member, "claim.pdf")
    with py7zr.SevenZipFile(to.other("py7zr.7z"), "w") as archive:
        archive.write(member, "claim.pdf")
    # The member stands unpacked in the first 1024 bytes, where PDF readers look.
    with zipfile.ZipFile(to.other("stored-pdf.zip"), "w", zipfile.ZIP_STORED) as archive:
        archive.write(member, "claim.pdf")


# ------------------------------------------------------------------------------------------------- Apache Tika's documents


def tika(to, jars):
    kept = {
        "rar",
        "7z",
        "cab",
        "cpio",
        "tgz",
        "tbz2",
        "Z",
        "zip",
        "chm",
        "mdb",
        "pst",
        "msg",
        "ppt",
        "pptx",
        "mp3",
        "wav",
        "mid",
        "psd",
        "jxl",
        "jb2",
        "bpg",
        "emf",
        "one",
        "sas7bdat",
        "dmg",
    }

    def place(name):
        stem, dot, extension = name.rpartition(".")
        if extension.lower() in ACCEPTED:
            return to.accepted(f"tika-{stem}.{extension.lower()}")
        if extension == "rtf":
            # Word and AbiWord name it `.doc` as well.
            return to.accepted(f"tika-{stem}-rtf.doc")
        return to.other(f"tika-{name}") if dot and extension in kept else None

    for jar in ("audiovideo", "html", "image", "microsoft", "pdf", "pkg", "text", "xml"):
        from_jar(jars, jar, place)
    # Office opens its XML under its own names as well, and that is how it is sent.
    for name, extension in (("testEXCEL2003", "xls"), ("testWORD2003", "doc"), ("testWORD_2003ml", "doc"), ("testWORD_2006ml", "doc")):
        shutil.copy(to.folder / "accepted/xml" / f"tika-{name}.xml", to.accepted(f"tika-{name}-xml.{extension}"))


def from_jar(jars, module, place):
    """Copies what `place` finds a path for."""
    with zipfile.ZipFile(jar_of(jars, module)) as jar:
        for member in jar.infolist():
            name = member.filename.rpartition("/")[2]
            if not name or not member.filename.startswith("test-documents/") or member.file_size > LARGEST:
                continue
            if path := place(name):
                path.write_bytes(jar.read(member))


def jar_of(jars, module):
    return next(jars.glob(f"tika-parser-{module}-module-*-tests.jar"))


def main(folder, jars):
    to = Samples(Path(folder))
    pictures(to)
    films(to)
    documents(to)
    texts(to)
    tika(to, Path(jars))
    executables(to, Path(jars))
    pages(to)
    others(to)
    # Without the files of this machine, which differ.
    known = [(extension, mimetypes.MimeTypes().guess_type(f"x.{extension}", strict=False)[0]) for extension in ACCEPTED]
    to.path("media-types.txt").write_text(
        "".join(f"{extension} {declared}\n" for extension, declared in known if declared)
    )
    missing = [extension for extension in ACCEPTED if not to.folder.joinpath("accepted", extension).is_dir()]
    assert not missing, f"no sample of {missing}"


if __name__ == "__main__":
    main(*sys.argv[1:])
