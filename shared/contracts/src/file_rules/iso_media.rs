//! ISO base media files (ISO/IEC 14496-12) and QuickTime files. Both are a sequence of atoms, each with size and type. Films
//! start with any atom; `ftyp` distinguishes films from pictures (HEIF, ISO/IEC 23008-12).

use super::file_type::FileType;
use super::proof::Proof;

/// Atoms that a film may start with and that identify it as a film.
const OF_FILMS: [&[u8; 4]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"pnot", b"moof"];

/// Atoms that may precede or separate those of a film.
const AMONG_FILMS: [&[u8; 4]; 21] = [
    b"free", b"skip", b"uuid", b"udta", b"meta", b"meco", b"mfra", b"styp", b"sidx", b"ssix", b"emsg", b"prft",
    b"pdin", b"junk", b"PICT", b"pict", b"prfl", b"bloc", b"thum", b"imda", b"ctab",
];

/// Brands of pictures that are not accepted: AVIF and camera raw formats.
const FOREIGN_PICTURES: [&[u8; 4]; 4] = [b"avif", b"avis", b"crx ", b"jp2 "];

/// An atom's header.
struct Atom {
    kind: [u8; 4],
    /// Length of the header: 16 bytes with a 64-bit size.
    header: u64,
    /// `None`: to the end of the file.
    bytes: Option<u64>,
}

impl Atom {
    fn at(head: &[u8], at: u64) -> Option<Self> {
        let head = head.get(usize::try_from(at).ok()?..)?;
        let size = u32::from_be_bytes(*head.first_chunk()?);
        let kind = *head.get(4..)?.first_chunk()?;
        let (header, bytes) = match size {
            0 => (8, None),
            1 => (16, Some(u64::from_be_bytes(*head.get(8..)?.first_chunk()?))),
            size => (8, Some(size.into())),
        };
        // An atom includes its header.
        let is_possible = bytes.is_none_or(|bytes| bytes >= header);
        is_possible.then_some(Self { kind, header, bytes })
    }

    fn is_one_of(&self, kinds: &[&[u8; 4]]) -> bool {
        kinds.contains(&&self.kind)
    }
}

/// Returns the film or picture of the file.
pub(super) fn find(head: &[u8]) -> Option<Proof> {
    let first = Atom::at(head, 0)?;
    let begins_as_film = first.is_one_of(&OF_FILMS);
    let (mut at, mut atom, mut is_fragment) = (0_u64, first, false);
    loop {
        is_fragment |= atom.is_one_of(&[b"styp", b"sidx", b"moof", b"emsg", b"prft"]);
        if &atom.kind == b"ftyp" {
            return of_brands(&brands(head, at, &atom));
        }
        if !atom.is_one_of(&OF_FILMS) && !atom.is_one_of(&AMONG_FILMS) {
            // Programs may add an atom of their own, but no film starts with two unknown atoms.
            return begins_as_film.then(|| of_film(is_fragment));
        }
        let next = atom.bytes.and_then(|bytes| at.checked_add(bytes));
        let Some((next, following)) = next.and_then(|next| Some((next, Atom::at(head, next)?))) else {
            // The next one is behind the head, or does not exist.
            return Some(of_film(is_fragment));
        };
        (at, atom) = (next, following);
    }
}

/// Returns the brands of an `ftyp` atom, the major one first.
fn brands(head: &[u8], at: u64, atom: &Atom) -> Vec<[u8; 4]> {
    let end = atom.bytes.map_or(u64::MAX, |bytes| at.saturating_add(bytes));
    let body = usize::try_from(at + atom.header).unwrap_or(usize::MAX);
    let end = usize::try_from(end).unwrap_or(usize::MAX).min(head.len());
    let fields = head.get(body..end).unwrap_or_default().chunks_exact(4);
    // The second field is the version of the major brand.
    fields
        .enumerate()
        .filter(|(field, _)| *field != 1)
        .filter_map(|(_, brand)| brand.first_chunk().copied())
        .collect()
}

fn of_brands(brands: &[[u8; 4]]) -> Option<Proof> {
    let Some(major) = brands.first() else {
        return Some(of_film(false));
    };
    if let Some(media_type) = hevc_picture(major) {
        return Some(Proof::with_media_type(FileType::Heic, media_type));
    }
    let media_type = match major {
        foreign if FOREIGN_PICTURES.contains(&foreign) => return None,
        b"qt  " => return Some(Proof::of(FileType::Mov)),
        // Only the other brands show how these are encoded.
        b"mif1" | b"mif2" => "image/heif",
        b"msf1" => "image/heif-sequence",
        _ => return Some(Proof::of(FileType::Mp4)),
    };
    let is_hevc = brands.iter().any(|brand| hevc_picture(brand).is_some());
    let is_foreign = brands.iter().any(|brand| FOREIGN_PICTURES.contains(&brand));
    (is_hevc || !is_foreign).then_some(Proof::with_media_type(FileType::Heic, media_type))
}

/// Returns the type of a picture that is encoded with HEVC, by its brand.
const fn hevc_picture(brand: &[u8; 4]) -> Option<&'static str> {
    match brand {
        b"heic" | b"heix" | b"heim" | b"heis" => Some("image/heic"),
        b"hevc" | b"hevx" | b"hevm" | b"hevs" => Some("image/heic-sequence"),
        _ => None,
    }
}

/// Returns the kind of a film without brands: early QuickTime, or a fragment, which only MP4 has.
const fn of_film(is_fragment: bool) -> Proof {
    Proof::of(if is_fragment { FileType::Mp4 } else { FileType::Mov })
}
