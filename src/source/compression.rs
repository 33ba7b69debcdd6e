pub fn open(path:&std::path::Path)->crate::error::Result<Box<dyn std::io::Read+Send>>{ Ok(Box::new(std::fs::File::open(path).map_err(|e|crate::error::Error::io("open",path,e))?)) }
