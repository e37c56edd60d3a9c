//! Splices of reels that are held: nothing is written but where they lie.

use std::io::{self, Write};

use gt_vfs::ReadAt;

use super::{Chain, Error, Layout, Reel, Selection};
use crate::bundle::Header;
use crate::import;
use crate::splice::{self, Sink};

impl Chain {
    /// Joins reels that follow on each other to one, of which the bytes are
    /// ranges of the same packs, and takes it into the chain beside them.
    /// Every byte is read once, for root and trailer.
    ///
    /// # Errors
    /// [`Error::NotHeld`] where a part is not held, [`Error::Splice`] where
    /// the parts make no splice.
    pub fn splice(&mut self, parts: &[Reel]) -> Result<Reel, Error> {
        let _lock = import::lock(&self.common_dir)?;
        self.refresh()?;
        let layout = self.spliced(parts)?;
        self.add(&layout)?;
        Ok(layout.reel)
    }

    /// Makes a splice that a statement names out of the reels that are held,
    /// if they are its parts. Tells whether it is held now.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn make_splice(&mut self, wanted: &Reel) -> Result<bool, Error> {
        if self.holds(&wanted.root) {
            return Ok(true);
        }
        let _lock = import::lock(&self.common_dir)?;
        self.refresh()?;
        if self.holds(&wanted.root) {
            return Ok(true);
        }
        let Some(parts) = self.parts_of(wanted) else {
            return Ok(false);
        };
        let mut layout = match self.spliced(&parts) {
            Ok(layout) => layout,
            // Parts of another chain of the same numbers.
            Err(Error::Splice(_)) => return Ok(false),
            Err(e) => return Err(e),
        };
        if layout.reel.root != wanted.root || layout.reel.length != wanted.length {
            return Ok(false);
        }
        layout.reel = wanted.clone();
        self.add(&layout)?;
        Ok(true)
    }

    /// Returns the longest chain of deltas in a reel, earlier ones included.
    ///
    /// # Errors
    /// [`Error::NotHeld`].
    pub fn deepest(&self, reel: &Reel) -> Result<u32, Error> {
        let all = self.all();
        let mut deepest = 0;
        for oid in self.select([reel])?.oids()? {
            deepest = deepest.max(all.depth(&oid)?.unwrap_or(0));
        }
        Ok(deepest)
    }

    /// Finds held reels that follow on each other from the wanted one's first
    /// publication to its last; the longest ones, where there is a choice.
    fn parts_of(&self, wanted: &Reel) -> Option<Vec<Reel>> {
        let mut parts = Vec::new();
        let mut next = wanted.first;
        while next <= wanted.last {
            let fits = |r: &&Reel| r.first == next && r.last <= wanted.last && self.holds(&r.root);
            let part = self.reels().filter(fits).max_by_key(|reel| reel.last)?;
            next = part.last.checked_add(1)?;
            parts.push(part.clone());
        }
        (parts.len() > 1).then_some(parts)
    }

    fn spliced(&self, parts: &[Reel]) -> Result<Layout, Error> {
        let selection = self.select(parts)?;
        let layouts: Vec<&Layout> = parts.iter().filter_map(|p| self.layout(&p.root)).collect();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Err(splice::Error::Empty.into());
        };
        if parts
            .windows(2)
            .any(|two| two[0].last.checked_add(1) != Some(two[1].first))
        {
            return Err(splice::Error::Gap.into());
        }
        let header = header(&layouts, &selection)?;
        let entries = layouts
            .iter()
            .try_fold(0_u32, |sum, l| sum.checked_add(l.entries));
        let ranges: Vec<_> = layouts.iter().flat_map(|l| l.ranges.clone()).collect();
        let mut layout = Layout {
            reel: Reel {
                first: first.first,
                last: last.last,
                length: 0,
                root: first.root,
                recipe: None,
            },
            format: self.format,
            entries: entries.ok_or(splice::Error::TooMany)?,
            version: 2,
            ranges,
            trailer: gt_vfs::ObjectId::null(self.format),
            header: header.write(),
        };
        let mut nowhere = io::sink();
        let mut sink = Sink::new(&mut nowhere, self.format);
        self.pour(&layout, &mut sink)?;
        let (trailer, length, root) = sink.end()?;
        layout.trailer = trailer;
        layout.reel.length = length;
        layout.reel.root = root;
        Ok(layout)
    }

    /// Shows the sink every byte up to the trailer.
    fn pour<W: Write + ?Sized>(
        &self,
        layout: &Layout,
        sink: &mut Sink<'_, W>,
    ) -> Result<(), Error> {
        sink.write(&layout.header)?;
        sink.pack(&layout.pack_header())?;
        let mut buffer = vec![0; 1 << 18];
        for range in &layout.ranges {
            let Some(file) = self.pack(&range.pack) else {
                return Err(Error::NotHeld(layout.reel.file_name()));
            };
            let file: &dyn ReadAt = &**file;
            let (mut at, end) = (range.begin, range.begin + range.length);
            while at < end {
                let want = buffer.len().min((end - at) as usize);
                file.read_exact_at(at, &mut buffer[..want])?;
                sink.pack(&buffer[..want])?;
                at += want as u64;
            }
        }
        Ok(())
    }
}

fn header(layouts: &[&Layout], selection: &Selection) -> Result<Header, Error> {
    let mut headers = Vec::new();
    for layout in layouts {
        match Header::read(&layout.header) {
            Ok(Some((header, _))) => headers.push(header),
            _ => return Err(Error::NotHeld(layout.reel.file_name())),
        }
    }
    let headers: Vec<&Header> = headers.iter().collect();
    let holds = |id: &gt_vfs::ObjectId| selection.contains(id).map_err(io::Error::from);
    Ok(splice::header(&headers, &holds)?)
}
