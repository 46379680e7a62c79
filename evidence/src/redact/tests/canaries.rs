//! Canaries: values that identify a machine or reveal where its kernel is, placed in every field that holds text or numbers,
//! for every possible slide.

use std::collections::BTreeSet;

use super::{on_arm64, slid, text};
use crate::document::{CommandRun, Evidence, Experiment, Reader, Reading};
use crate::redact::redact;
use crate::secrets::{
    Searcher, collect_secrets, slides,
    tests::{half_as_number, lower_half},
};
use crate::value::{Bytes, Cut, Datum, Integer, Value};

/// A host's name, its user, a folder of his, and its addresses in networks.
const WORDS: &[&str] = &[
    "zebra7",
    "castle.example",
    "zacharias",
    "10.83.41.7",
    "fe80::1c2d:3eff:fe4f:5a6b",
    "52:54:00:9a:bc:de",
];

/// A slide of this size is one of arm64.
const LARGE: u64 = 1 << 36;

/// Slides of arm64: each alignment that an image can have (64 KiB), all over the room for it. The lower halves of [`pointers`] have
/// as many digits at each.
fn arm64_slides() -> impl Iterator<Item = u64> {
    (0..128).map(|number| {
        let high = 0x1000 + number * 0x51;
        let low = number * 0x57 % 0x1f0;
        high << 32 | low << 21 | (number % 32) << 16
    })
}

/// The same with lower halves of every size.
fn arm64_slides_of_all_sizes() -> impl Iterator<Item = u64> {
    (0..128).map(|number| 0x1000_0000_0000 + number * 0x3f_fb60_0000 + ((number % 32) << 16))
}

/// An address in the image, at this slide, and one of an object: on arm64 with 48 bits and with 52 in turn.
fn pointers(slide: u64) -> [u64; 2] {
    match (slide >= LARGE, slide >> 16 & 1) {
        (false, _) => [0xffff_ffff_8112_3458 + slide, 0xffff_8881_8a3b_5c78],
        (true, 0) => [0xffff_8000_8112_3458 + slide, 0xffff_0001_8a3b_5c78],
        (true, _) => [0xffff_8000_8112_3458 + slide, 0xfff0_0001_8a3b_5c78],
    }
}

/// Other numbers of arm64 that say where something is: the slide, which needs more than 32 bits, the upper half of an address, the
/// address with a signature and with a tag, and where a program is.
fn wide_numbers(slide: u64) -> Vec<u64> {
    if slide < LARGE {
        return Vec::new();
    }
    let [image, object] = pointers(slide);
    let signed = image & !(0xff7f << 48) | 0x5b6f << 48;
    let tagged = object & !(0xff << 56) | 0xf4 << 56;
    let upper = image >> 32;
    // A small number stands for much else.
    let low = Some(slide & 0xffff_ffff).filter(|low| *low >= 1 << 20);
    vec![
        slide,
        upper,
        image,
        object,
        signed,
        tagged,
        0xaaaa_c123_4568,
        low.unwrap_or(slide),
    ]
}

/// Numbers that identify a machine: four letters of a name, addresses of networks, and halves of a hardware address.
fn identities() -> Vec<u32> {
    let words = WORDS
        .iter()
        .flat_map(|word| word.as_bytes().chunks_exact(4));
    let letters = words.map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    letters
        .chain([0x0a53_2907, 0x5254_009a, 0x2d3e_fffe, 0xfe4f_5a6b])
        .flat_map(|number| [number, number.swap_bytes()])
        .collect()
}

/// Each number that must not be known as a value of every kind that holds numbers, by name.
fn numbers(slide: u64) -> Vec<(String, Value)> {
    let halves = pointers(slide).map(|pointer| u32::try_from(pointer & 0xffff_ffff).unwrap());
    let halves = halves.into_iter().flat_map(|low| [low, low.swap_bytes()]);
    let all = halves.chain(identities()).enumerate();
    let kinds = |(at, number): (usize, u32)| {
        let (low, signed) = (u64::from(number), number.cast_signed());
        let exact = Integer::from(low);
        let typed = |value: Integer, name: &str| Value::Int {
            value,
            type_name: Some(name.into()),
        };
        let negative = Integer::from(i64::from(signed));
        [
            typed(exact, "u32"),
            typed(negative, "int"),
            typed(exact, "size_t"),
            typed(negative, "ssize_t"),
            Value::Offset { value: exact },
            Value::Size { value: low },
            Value::Time { ns: low },
            Value::Fd { value: signed },
            Value::Pid { value: signed },
            Value::Enum {
                value: exact,
                type_name: "socket_state".into(),
                name: None,
            },
            Value::Flags {
                value: exact,
                set: None,
                names: vec![format!("{low:#x}")],
            },
        ]
        .into_iter()
        .enumerate()
        .map(move |(kind, value)| (format!("n{at}_{kind}"), value))
    };
    all.flat_map(kinds).chain(wide_values(slide)).collect()
}

/// The numbers of arm64 as values of the kinds that have 64 bits.
fn wide_values(slide: u64) -> impl Iterator<Item = (String, Value)> {
    let all = wide_numbers(slide).into_iter().enumerate();
    all.flat_map(|(at, number)| {
        let typed = |value: Integer, name: &str| Value::Int {
            value,
            type_name: Some(name.into()),
        };
        [
            typed(Integer::from(number), "u64"),
            typed(Integer::from(number.cast_signed()), "long"),
            typed(Integer::from(number), "size_t"),
            Value::Offset {
                value: Integer::from(number),
            },
            Value::Size { value: number },
            Value::Time { ns: number },
            Value::Flags {
                value: Integer::from(number),
                set: None,
                names: vec![format!("{number:#x}")],
            },
        ]
        .into_iter()
        .enumerate()
        .map(move |(kind, value)| (format!("w{at}_{kind}"), value))
    })
}

/// The numbers in decimal, as they would stand in a document.
fn decimals(slide: u64) -> BTreeSet<String> {
    let values = numbers(slide).into_iter().map(|(_, value)| value);
    let numbers = values.filter_map(|value| value.as_integer());
    numbers.map(|number| number.to_string()).collect()
}

/// Every spelling of what must not be known, but for bytes that are not text.
fn canaries(slide: u64) -> Vec<String> {
    let halves = pointers(slide).into_iter().flat_map(lower_half);
    let halves =
        halves.filter_map(|form| String::from_utf8(form).ok().filter(|form| form.is_ascii()));
    let whole = pointers(slide).map(|pointer| format!("{pointer:#x}"));
    let words = WORDS.iter().map(|word| (*word).to_owned());
    words.chain(whole).chain(halves).collect()
}

fn bytes(bytes: Vec<u8>) -> Datum {
    Value::Bytes {
        value: Bytes(bytes),
    }
    .into()
}

/// The document with canaries wherever it has a place for any, and the names of the reads that the investigation declares public.
fn planted(evidence: &Evidence, slide: u64) -> Evidence {
    let mut host = evidence.clone();
    let all = canaries(slide);
    // A sentence is taken apart at signs, and one letter of base64 between two of them can be a word that everybody has.
    let numbers = pointers(slide).into_iter().flat_map(half_as_number);
    let numbers = numbers.filter_map(|form| String::from_utf8(form).ok());
    let words = WORDS.iter().map(|word| (*word).to_owned());
    let sentence: Vec<String> = words
        .chain(numbers.filter(|form| form.is_ascii()))
        .collect();
    let sentence = sentence.join(" ");
    let said = || Datum::from(Value::text(all.join(" ")));
    let why = || Datum::unavailable(format!("cannot open /home/zacharias/x: {sentence}"));
    let raw: Vec<u8> = pointers(slide)
        .iter()
        .flat_map(|pointer| [pointer.to_le_bytes(), pointer.to_be_bytes()].concat())
        .collect();
    host.machine.accelerator = Some(sentence.clone());
    host.kernel.command_line = Some(all.join(" "));
    host.kernel.build_id = why();
    host.kernel.debuginfo = said();
    host.kernel.config.insert("default_hostname".into(), said());
    host.kernel.modules.insert("tun".into(), said());
    for text in [said(), why()] {
        host.kaslr.readings.push(Reading {
            by: Reader::Machine,
            file: "/proc/iomem".into(),
            key: "Kernel code".into(),
            line: Some(7),
            text,
        });
    }
    for (name, by) in [("there", Reader::Machine), ("here", Reader::Builder)] {
        let values = [("text", said()), ("why", why())];
        host.commands.insert(
            name.into(),
            CommandRun {
                by,
                argv: vec!["uname".into(), "-n".into()],
                files: Vec::new(),
                exit: Value::int(0).into(),
                output: said(),
                values: values.map(|(name, value)| (name.to_owned(), value)).into(),
            },
        );
    }
    let create = host.experiments.get_mut("create").unwrap();
    create.quality.notes.push(sentence.clone());
    everywhere(create, slide);
    alone(create, slide, 0);
    let outcome = &mut create.outcome;
    outcome.stdout = said();
    outcome.stderr = Some(said());
    outcome.signal = why();
    outcome.results.insert("why".into(), why());
    let buffers = [
        ("text", said()),
        ("bytes", bytes(raw.clone())),
        ("all", bytes(all.join(" ").into_bytes())),
        ("why", why()),
    ];
    outcome
        .buffers
        .extend(buffers.map(|(name, value)| (name.to_owned(), value)));
    let probe = create.probes.get_mut("sock_alloc").unwrap();
    probe.listed = Some(said());
    probe.definition = Some(why());
    probe
        .refused_reads
        .exit
        .insert("gone".into(), sentence.clone());
    let hit = &mut probe.hits[0];
    hit.entry.insert("text".into(), said());
    hit.entry.insert("why".into(), why());
    hit.entry.insert("bytes".into(), bytes(raw));
    let cut = Value::CutText {
        value: all.join(" "),
        cut: Cut { whole: None },
    };
    hit.entry.insert("cut".into(), cut.into());
    for (number, pointer) in pointers(slide).into_iter().enumerate() {
        hit.exit
            .insert(format!("whole{number}"), Value::address(pointer).into());
        let low = u32::try_from(pointer & 0xffff_ffff).unwrap();
        let exact = Integer::from(u64::from(low));
        let signed = Integer::from(i64::from(low.cast_signed()));
        for (name, value) in [
            ("int", int(exact)),
            ("signed", int(signed)),
            (
                "flags",
                Value::Flags {
                    value: exact,
                    set: None,
                    names: vec![],
                },
            ),
            ("time", Value::Time { ns: low.into() }),
            ("offset", Value::Offset { value: exact }),
            ("size", Value::Size { value: low.into() }),
            (
                "pid",
                Value::Pid {
                    value: low.cast_signed(),
                },
            ),
            (
                "fd",
                Value::Fd {
                    value: low.cast_signed(),
                },
            ),
        ] {
            for declared in ["", "declared_"] {
                let name = format!("{declared}{name}{number}");
                if !declared.is_empty() {
                    probe.public.push(format!("entry.{name}"));
                }
                hit.entry.insert(name, value.clone().into());
            }
        }
    }
    for (name, value) in wide_values(slide) {
        probe.public.push(format!("entry.declared_{name}"));
        hit.entry.insert(format!("declared_{name}"), value.into());
    }
    // An author who declares a text cannot know what it holds at the next boot. Each of these is searched by itself, so there
    // are some in each document, and all in sixteen.
    let turn = usize::try_from(slide >> 21).unwrap() % 16;
    let forms = all[WORDS.len()..].iter().cycle().skip(turn * 10).take(10);
    for (number, form) in forms.enumerate() {
        let name = format!("declared_text{number}");
        probe.public.push(format!("entry.{name}"));
        hit.entry
            .insert(name, Value::text(format!("at {form}.")).into());
    }
    for hit in create.probes.values_mut().flat_map(|probe| &mut probe.hits) {
        hit.task.name = "zebra7:zacharia".into();
    }
    host
}

/// All that must not be known, as numbers of every kind and as text.
fn values(slide: u64) -> Vec<(String, Value)> {
    let forms = canaries(slide).into_iter().enumerate();
    let forms = forms.map(|(at, form)| (format!("f{at}"), Value::text(form)));
    numbers(slide).into_iter().chain(forms).collect()
}

/// Put all of it into all places of an experiment that hold several values: what calls returned, reads, and buffers.
fn everywhere(create: &mut Experiment, slide: u64) {
    let all = values(slide);
    let data = || {
        let values = all.iter().cloned();
        values.map(|(name, value)| (name, Datum::from(value)))
    };
    let outcome = &mut create.outcome;
    outcome.results.extend(data());
    let decimals: Vec<String> = decimals(slide).into_iter().collect();
    outcome
        .buffers
        .insert("ints".into(), Value::text(decimals.join(", ")).into());
    outcome.buffers.extend(data());
    let probes = create.probes.values_mut();
    for hit in probes.filter_map(|probe| probe.hits.first_mut()).take(2) {
        hit.entry.extend(data());
        hit.exit.extend(data());
    }
}

/// Put some of it, another part at each turn, into all places that hold one value: what the last call returned, arguments, returned
/// values, and the ledger.
fn alone(create: &mut Experiment, slide: u64, turn: usize) {
    let all = values(slide);
    let mut next = turn;
    let mut one = || {
        next += 1;
        Datum::from(all[next % all.len()].1.clone())
    };
    create.outcome.returned = one();
    let ledger = create.objects.iter_mut();
    let allocations = ledger.flat_map(|ledger| &mut ledger.allocations);
    for (at, allocation) in allocations.enumerate() {
        let low = u32::try_from(pointers(slide)[at % 2] & 0xffff_ffff).unwrap();
        allocation.size = Some(low.into());
        allocation.cache = Some("zebra7".into());
    }
    for hit in create.probes.values_mut().flat_map(|probe| &mut probe.hits) {
        hit.return_value = hit.return_value.as_ref().map(|_| one());
        // Only those that the function has.
        hit.args.values_mut().for_each(|argument| *argument = one());
    }
}

fn int(value: Integer) -> Value {
    Value::Int {
        value,
        type_name: Some("u32".into()),
    }
}

/// True if four bytes happen to be letters of some alphabet: they are not told from letters then.
fn happens_to_be_text(form: &[u8]) -> bool {
    form.len() == 4 && std::str::from_utf8(form).is_ok()
}

/// Check that each spelling in a page is found where it stands.
fn all_found(searcher: &Searcher, slide: u64) {
    let forms = pointers(slide).into_iter().flat_map(lower_half);
    let forms: Vec<Vec<u8>> = forms.filter(|form| !happens_to_be_text(form)).collect();
    let (mut page, mut starts) = (b"<p>".to_vec(), Vec::new());
    for form in &forms {
        page.extend(b"at \"");
        starts.push(page.len());
        page.extend(form);
        page.extend(b"\" it is, and also another text that is long enough; ");
    }
    let places = searcher.find_all(&page);
    for (form, start) in forms.iter().zip(starts) {
        let shown = String::from_utf8_lossy(form);
        let here = start..start + form.len();
        assert!(
            places.iter().any(|found| here.contains(&found.offset)),
            "{slide:#x}: {shown}"
        );
    }
}

/// Check that at every slide the document can be published, that no spelling of any canary is in it, that the slide shows
/// in nothing of it, and that every spelling would be found in a page, at its place.
#[test]
fn every_slide() {
    let untold = publish_at(&crate::testing::evidence(), &slides().collect::<Vec<_>>());
    // Those that every kernel of this configuration names.
    assert_eq!(untold, [0x20_0000, 0x100_0000]);
}

/// Check the same on arm64, at slides of each alignment.
#[test]
fn every_alignment_on_arm64() {
    let raw = on_arm64(&crate::testing::evidence());
    for untagged in [true, false] {
        let alike = arm64_slides().filter(|slide| (slide >> 16 & 1 == 0) == untagged);
        assert_eq!(publish_at(&raw, &alike.collect::<Vec<_>>()), [0; 0]);
    }
}

/// Publish the document at each slide, and return those that are not searched for.
fn publish_at(raw: &Evidence, all: &[u64]) -> Vec<u64> {
    let first = published(raw, all[2]).0;
    std::thread::scope(|scope| {
        let first = &first;
        let check = move |slide: &u64| {
            let (redacted, is_told) = published(raw, *slide);
            for (one, other) in redacted.lines().zip(first.lines()) {
                assert_eq!(one, other, "{slide:#x}");
            }
            assert_eq!(redacted.len(), first.len(), "{slide:#x}");
            (!is_told).then_some(*slide)
        };
        let halves = all.chunks(all.len().div_ceil(2));
        let run = halves
            .map(|half| scope.spawn(move || half.iter().filter_map(check).collect::<Vec<u64>>()));
        let run: Vec<_> = run.collect();
        run.into_iter()
            .flat_map(|half| half.join().unwrap())
            .collect()
    })
}

/// Check that at every slide nothing of it comes out of the places that hold one value, which hold another part of it at each slide:
/// all of it in all together.
#[test]
fn one_in_each_place() {
    try_each_place(&crate::testing::evidence(), slides(), 2);
}

/// Check the same on arm64.
#[test]
fn one_in_each_place_on_arm64() {
    let raw = on_arm64(&crate::testing::evidence());
    try_each_place(&raw, arm64_slides_of_all_sizes(), 7);
}

/// Put other values into the places that hold one, in so many turns at each slide.
fn try_each_place(raw: &Evidence, slides: impl Iterator<Item = u64>, turns: usize) {
    let mut tried = BTreeSet::new();
    let mut count = 0;
    for (turn, slide) in slides.enumerate() {
        count = values(slide).len();
        let mut host = slid(raw, slide);
        // The secrets have to be in the document: that is where redaction knows them from.
        let probe = host.experiments.get_mut("create").unwrap();
        let probe = probe.probes.get_mut("sock_alloc").unwrap();
        for (number, pointer) in pointers(slide).into_iter().enumerate() {
            let whole = Value::address(pointer).into();
            probe.hits[0].exit.insert(format!("whole{number}"), whole);
        }
        for turn in turns * turn..turns * (turn + 1) {
            let mut host = host.clone();
            alone(host.experiments.get_mut("create").unwrap(), slide, turn);
            tried.insert((turn + 1) % values(slide).len());
            let redacted = redact(&host).unwrap_or_else(|error| panic!("{slide:#x}: {error}"));
            no_canary(&text(&redacted), slide);
        }
    }
    assert_eq!(tried.len(), count);
}

/// Assert that no canary is in a document, in whatever case.
fn no_canary(redacted: &str, slide: u64) {
    let small = redacted.to_lowercase();
    for canary in canaries(slide).into_iter().chain(decimals(slide)) {
        assert!(
            !small.contains(&canary.to_lowercase()),
            "{slide:#x}: {canary}: {redacted}"
        );
    }
}

/// The document as it is published at this slide, and whether the slide itself is searched for.
fn published(raw: &Evidence, slide: u64) -> (String, bool) {
    let host = planted(&slid(raw, slide), slide);
    let redacted = redact(&host).unwrap_or_else(|error| panic!("{slide:#x}: {error}"));
    let mut readings = redacted.kaslr.readings.iter();
    let lines = readings.all(|reading| reading.line.is_none() || reading.text.value().is_some());
    assert!(lines, "{slide:#x}: a line without its text");
    let redacted = text(&redacted);
    no_canary(&redacted, slide);
    let searcher = Searcher::new(&collect_secrets(&host), &BTreeSet::new());
    all_found(&searcher, slide);
    let told = searcher.find(format!("moved by {slide:#x}").as_bytes());
    (
        redacted,
        told.iter().any(|found| found.leaf == "kaslr.slide"),
    )
}

/// Check that neither a kind nor a declaration publishes what may be a part of an address, and no secret of the kernel by whatever
/// name an investigation reads it, while a whole address there becomes a pseudonym.
#[test]
fn declared_in_vain() {
    use crate::document::Member;
    const OBJECT: u64 = 0xffff_8881_8a3b_5c78;
    const CANARY: u64 = 0x8f3b_1c77_2d4e_9a00;
    let mut live = crate::testing::evidence();
    let create = live.experiments.get_mut("create").unwrap();
    let probe = create.probes.get_mut("sock_alloc").unwrap();
    let values = [
        ("s_part", Value::int(0x8a3b)),
        ("s_zero", Value::int(0)),
        ("s_size", Value::Size { value: 0x8a3b }),
        ("s_pid", Value::Pid { value: 0x5c78 }),
        ("s_flag", Value::Bool { value: true }),
        ("s_letters", Value::text("x\\;")),
        (
            "s_bytes",
            Value::Bytes {
                value: Bytes(vec![0x3b, 0x8a]),
            },
        ),
        ("h_whole", Value::address(OBJECT)),
        (
            "s_canary",
            Value::Int {
                value: Integer::from(CANARY),
                type_name: Some("unsigned long".into()),
            },
        ),
        ("h_pid", Value::int(7)),
    ];
    probe.public = values
        .iter()
        .map(|(name, _)| format!("exit.{name}"))
        .collect();
    probe.retyped = values
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !["s_canary", "h_pid"].contains(name))
        .map(|name| format!("exit.{name}"))
        .collect();
    for (name, member) in [("s_canary", "stack_canary"), ("h_pid", "pid")] {
        let member = Member {
            structure: "struct task_struct".into(),
            name: member.into(),
            offset: 8,
            type_name: None,
            bits: None,
        };
        probe.members.exit.insert(name.into(), member);
    }
    for (name, value) in values {
        probe.hits[0].exit.insert(name.into(), value.into());
    }
    let redacted = redact(&live).unwrap();
    for (name, datum) in &redacted.experiments["create"].probes["sock_alloc"].hits[0].exit {
        match datum.value() {
            Some(Value::Address { value, .. }) if name == "h_whole" => {
                assert!(value.is_pseudonym());
            }
            Some(_) => assert!(!name.starts_with("s_"), "{name} is shown"),
            None => assert!(!name.starts_with("h_"), "{name} is withheld"),
        }
    }
    assert!(!text(&redacted).contains(&CANARY.to_string()));
}
