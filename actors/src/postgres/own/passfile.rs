//! The file of passwords that libpq reads (PGPASSFILE): `host:port:database:user:password`, a line each.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt as _, path::Path};

/// Longest file that is read; libpq's own has some lines.
const BYTES_MAX: u64 = 1024 * 1024;

/// A password, which is not printed.
pub(super) struct Password(String);

impl Password {
    /// For whoever logs in.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The password of the first line of `file` that fits `asked`: host, port, database, user. None where the file is not there.
///
/// # Errors
/// The file cannot be read, or others than its owner may read it: as libpq does, it is not used then.
pub(super) fn read(file: &Path, asked: [&str; 4]) -> io::Result<Option<Password>> {
    let about = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    if about.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others than its owner may read it: chmod 0600"));
    }
    if about.len() > BYTES_MAX {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(find(&fs::read_to_string(file)?, asked))
}

fn find(content: &str, asked: [&str; 4]) -> Option<Password> {
    content.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line.trim_end_matches('\r'));
        let [host, port, database, user, password] = <[Field; 5]>::try_from(fields).ok()?;
        let fits = [host, port, database, user]
            .iter()
            .zip(asked)
            .all(|(field, asked)| field.any || field.text == asked);
        fits.then_some(Password(password.text))
    })
}

#[derive(Default)]
struct Field {
    text: String,
    /// `*`, without an escape.
    any: bool,
}

/// The five fields of a line. `\` takes what follows as it is; the password may have colons of its own.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len() == 5;
        let Some(field) = fields.last_mut() else { break };
        match character {
            '\\' => {
                field.any = false;
                field.text.extend(characters.next());
            }
            ':' if !last => fields.push(Field::default()),
            _ => {
                field.any = character == '*' && field.text.is_empty();
                field.text.push(character);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str, asked: [&str; 4]) -> Option<String> {
        find(content, asked).map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# a:b:c\nh:5432:d:u:one\n*:*:*:u:two\r\n*:*:x\\:y:v\\*:th\\:ree:\\\\\n";
        assert_eq!(found(file, ["h", "5432", "d", "u"]).unwrap(), "one");
        assert_eq!(found(file, ["g", "5432", "d", "u"]).unwrap(), "two");
        assert_eq!(found(file, ["g", "1", "x:y", "v*"]).unwrap(), "th:ree:\\");
        assert_eq!(found(file, ["g", "1", "x:y", "vv"]), None);
        assert_eq!(found("h:5432:d:u", ["h", "5432", "d", "u"]), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        assert!(read(&file, ["h", "1", "d", "u"]).unwrap().is_none());
        fs::write(&file, "*:*:*:*:geheim\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read(&file, ["h", "1", "d", "u"]).unwrap_err().to_string();
        assert!(error.contains("0600") && !error.contains("geheim"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let password = read(&file, ["h", "1", "d", "u"]).unwrap().unwrap();
        assert_eq!(password.expose(), "geheim");
        assert_eq!(format!("{password:?}"), "Password(…)");
    }
}
