//! Parquet files of one column, written byte by byte, so that any part of them can lie: thrift's compact protocol by hand.

/// Physical types, as footers number them.
pub const BOOLEAN: i64 = 0;
pub const INT32: i64 = 1;
pub const INT64: i64 = 2;
pub const INT96: i64 = 3;
pub const DOUBLE: i64 = 5;
pub const BYTE_ARRAY: i64 = 6;
pub const FIXED: i64 = 7;

/// Encodings, as page headers number them.
pub const PLAIN: i64 = 0;
pub const RLE: i64 = 3;
pub const BIT_PACKED: i64 = 4;
pub const DELTA_BINARY_PACKED: i64 = 5;
pub const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
pub const DELTA_BYTE_ARRAY: i64 = 7;
pub const RLE_DICTIONARY: i64 = 8;
pub const BYTE_STREAM_SPLIT: i64 = 9;

/// A struct in the compact protocol.
#[derive(Clone, Default)]
pub struct Thrift {
    bytes: Vec<u8>,
    last: i64,
}

impl Thrift {
    fn field(mut self, id: i64, kind: u8) -> Self {
        self.bytes.push((((id - self.last) as u8) << 4) | kind);
        self.last = id;
        self
    }

    /// A number; footers have 64 bits for some, headers 32: both are written alike.
    pub fn number(self, id: i64, value: i64) -> Self {
        let mut next = self.field(id, 6);
        next.bytes.extend(varint(((value << 1) ^ (value >> 63)) as u64));
        next
    }

    /// A number of 32 bits.
    pub fn int(self, id: i64, value: i64) -> Self {
        let mut next = self.field(id, 5);
        next.bytes.extend(varint(((value << 1) ^ (value >> 63)) as u64));
        next
    }

    pub fn maybe(self, id: i64, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(id, value),
            None => self,
        }
    }

    pub fn truth(self, id: i64, value: bool) -> Self {
        self.field(id, if value { 1 } else { 2 })
    }

    pub fn text(self, id: i64, value: &str) -> Self {
        let mut next = self.field(id, 8);
        next.bytes.extend(binary(value));
        next
    }

    pub fn inner(self, id: i64, value: Thrift) -> Self {
        let mut next = self.field(id, 12);
        next.bytes.extend(value.end());
        next
    }

    /// A list of `claimed` things of a kind, which may be more or fewer than there are.
    pub fn list(self, id: i64, kind: u8, claimed: u64, elements: &[u8]) -> Self {
        let mut next = self.field(id, 9);
        next.bytes.push(0xf0 | kind);
        next.bytes.extend(varint(claimed));
        next.bytes.extend(elements);
        next
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn binary(value: &str) -> Vec<u8> {
    [varint(value.len() as u64), value.into()].concat()
}

/// A page of version 1 as its header claims it, and its body.
pub fn page(values: i64, encoding: i64, uncompressed: i64, body: &[u8]) -> Vec<u8> {
    page_claiming(values, encoding, uncompressed, body.len() as i64, body)
}

pub fn page_claiming(values: i64, encoding: i64, uncompressed: i64, compressed: i64, body: &[u8]) -> Vec<u8> {
    let header = Thrift::default().int(1, values).int(2, encoding).int(3, RLE).int(4, RLE);
    let page = Thrift::default().int(1, 0).int(2, uncompressed).int(3, compressed).inner(5, header);
    [page.end(), body.into()].concat()
}

/// A page of version 2: values, missing values, rows, bytes of the definition levels.
pub fn page_v2([values, nulls, rows, levels]: [i64; 4], encoding: i64, uncompressed: i64, body: &[u8]) -> Vec<u8> {
    let header = Thrift::default().int(1, values).int(2, nulls).int(3, rows).int(4, encoding);
    let header = header.int(5, levels).int(6, 0).truth(7, true);
    let page = Thrift::default().int(1, 3).int(2, uncompressed).int(3, body.len() as i64).inner(8, header);
    [page.end(), body.into()].concat()
}

pub fn dictionary(values: i64, body: &[u8]) -> Vec<u8> {
    let header = Thrift::default().int(1, values).int(2, PLAIN);
    let page = Thrift::default().int(1, 2).int(2, body.len() as i64).int(3, body.len() as i64).inner(7, header);
    [page.end(), body.into()].concat()
}

/// A file of one column `x` in one row group, and what its footer claims.
#[derive(Clone)]
pub struct Forged {
    pub physical: i64,
    /// 0 is text.
    pub converted: Option<i64>,
    pub type_length: Option<i64>,
    /// 0 where there are no missing values, 1 where there may be, 2 where it is a list.
    pub repetition: i64,
    /// 0 none, 1 snappy, 2 gzip, 3 lzo, 4 brotli, 5 lz4, 6 zstd, 7 lz4 raw.
    pub codec: i64,
    /// Rows of the row group.
    pub rows: i64,
    /// How many more rows the file claims than its row group.
    pub more_rows: i64,
    pub values: i64,
    pub uncompressed: i64,
    pub compressed: i64,
    pub offset: i64,
    /// Where the dictionary is.
    pub dictionary: Option<i64>,
    /// Elements that the schema claims, with its root.
    pub elements: u64,
    /// Row groups that the file claims.
    pub groups: u64,
    pub pages: Vec<u8>,
}

impl Forged {
    /// Whose footer says the truth of `pages`, which are not compressed.
    pub fn new(physical: i64, rows: i64, pages: Vec<u8>) -> Self {
        Self {
            physical,
            converted: (physical == BYTE_ARRAY).then_some(0),
            type_length: (physical == FIXED).then_some(4),
            repetition: 0,
            codec: 0,
            rows,
            more_rows: 0,
            values: rows,
            uncompressed: pages.len() as i64,
            compressed: pages.len() as i64,
            offset: 4,
            dictionary: None,
            elements: 2,
            groups: 1,
            pages,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn footer(&self) -> Vec<u8> {
        let root = Thrift::default().text(4, "schema").int(5, 1).end();
        let column = Thrift::default().int(1, self.physical).maybe(2, self.type_length).int(3, self.repetition);
        let column = column.text(4, "x").maybe(6, self.converted).end();
        let meta = Thrift::default()
            .int(1, self.physical)
            .list(2, 5, 1, &varint(0))
            .list(3, 8, 1, &binary("x"))
            .int(4, self.codec)
            .number(5, self.values)
            .number(6, self.uncompressed)
            .number(7, self.compressed)
            .number(9, self.offset);
        let meta = match self.dictionary {
            Some(at) => meta.number(11, at),
            None => meta,
        };
        let chunk = Thrift::default().number(2, 0).inner(3, meta).end();
        let group = Thrift::default().list(1, 12, 1, &chunk).number(2, self.uncompressed).number(3, self.rows).end();
        Thrift::default()
            .int(1, 1)
            .list(2, 12, self.elements, &[root, column].concat())
            .number(3, self.rows.wrapping_add(self.more_rows))
            .list(4, 12, self.groups, &group)
            .end()
    }

    pub fn bytes(&self) -> Vec<u8> {
        framed(&self.pages, &self.footer())
    }
}

/// A file of these pages and this footer.
pub fn framed(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    [b"PAR1", pages, footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

/// Numbers of 64 bits as plain pages hold them.
pub fn plain(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Texts as plain pages hold them.
pub fn texts(values: &[&[u8]]) -> Vec<u8> {
    values.iter().flat_map(|value| [&(value.len() as u32).to_le_bytes()[..], value].concat()).collect()
}

/// Levels of a page of version 1 behind their length, then values.
pub fn with_levels(levels: &[u8], values: &[u8]) -> Vec<u8> {
    [&(levels.len() as u32).to_le_bytes()[..], levels, values].concat()
}
