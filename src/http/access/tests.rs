//! What was granted, from its line in the file to the end of it.

use std::fs;

use actix_web::test::TestRequest;

use super::*;

/// A file of tokens, and who may ask by it.
struct World {
    _folder: tempfile::TempDir,
    file: PathBuf,
    access: Arc<Access>,
}

impl World {
    fn of(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        fs::write(&file, names.iter().map(|name| line(name)).collect::<String>()).unwrap();
        let settings = AccessSettings { tokens: Some(file.clone()), ..AccessSettings::open() };
        Self { _folder: folder, file, access: Access::new(settings).unwrap() }
    }

    fn look(&self, content: String) {
        self.access.look(&self.file, Ok(content.into_bytes()), Instant::now());
    }

    /// A new session of the token with this name.
    fn session(&self, token: &str) -> To {
        To::Session(Hashed::of(&self.access.sessions.begin(Hashed::of(token)).unwrap()))
    }
}

/// Its secret is its name.
fn line(name: &str) -> String {
    format!("{name} control {}\n", Hashed::of(name))
}

#[test]
fn a_session_ends_with_its_token_and_does_not_come_back_with_it() {
    let world = World::of(&["kept", "gone"]);
    let [kept, gone] = ["kept", "gone"].map(|token| world.session(token));
    let opens = |to: To| world.access.granted(to).is_some();
    assert!(opens(kept) && opens(gone));
    world.look(line("kept"));
    assert!(opens(kept) && !opens(gone));
    world.look(line("kept") + &line("gone"));
    assert!(opens(kept), "what others lose is nothing to it");
    assert!(
        !opens(gone) && opens(world.session("gone")),
        "the token is given again, a session is begun anew"
    );
}

#[test]
fn what_was_granted_lasts_as_long_as_what_it_rests_on() {
    let world = World::of(&["kept", "gone"]);
    let lasts = |to: To, needed: Scope| world.access.lasts(&Grant { to, needed });
    let [kept, gone] = ["kept", "gone"].map(|token| To::Token(Hashed::of(token)));
    assert!(lasts(kept, Scope::Read) && lasts(kept, Scope::Control) && !lasts(kept, Scope::Admin));
    assert!(lasts(gone, Scope::Read) && lasts(To::Everybody, Scope::Read));
    world.look(line("kept"));
    assert!(lasts(kept, Scope::Control) && !lasts(gone, Scope::Read));
    assert!(lasts(To::Everybody, Scope::Admin), "what needs nothing rests on nothing");
}

#[test]
fn what_is_wrong_with_the_file_is_said_until_it_is_mended() {
    let world = World::of(&["kept"]);
    assert_eq!(world.access.degraded(), None);
    world.look("nonsense\n".to_owned());
    let said = world.access.degraded().unwrap();
    assert!(said.contains("could not be read") && said.contains("line 1"), "{said}");
    world.look(line("kept"));
    assert_eq!(world.access.degraded(), None);
}

#[test]
fn what_is_printed_of_it_is_how_it_is_set_and_no_token() {
    let world = World::of(&["kept"]);
    let said = format!("{:?}", world.access);
    assert!(said.contains("AccessSettings") && said.contains("requests_per_second"), "{said}");
    assert!(!said.contains("sha256") && !said.contains("kept"), "{said}");
}

#[test]
fn a_request_is_answered_for_its_tenant_with_the_scopes_that_it_has_shown() {
    let world = World::of(&["kept"]);
    let admitted = |access: &Access, token: Option<&str>, needs| {
        let mut request = TestRequest::default();
        if let Some(token) = token {
            request = request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")));
        }
        access.admit(&request.to_srv_request(), needs).map(|(_, principal)| principal).ok()
    };
    let main = |scopes: Scopes| Some(Principal { tenant: Tenant::MAIN, scopes });
    let control = Scopes::up_to(Scope::Control);
    assert_eq!(
        admitted(&world.access, Some("kept"), Needs::READ),
        main(control),
        "more than the route needs"
    );
    assert_eq!(admitted(&world.access, Some("kept"), Needs::ADMIN), None);
    assert_eq!(admitted(&world.access, Some("kept"), Needs::Nothing), main(Scopes::NONE), "nobody looked");
    assert_eq!(admitted(&world.access, None, Needs::READ), None);

    let open = Access::new(AccessSettings::open()).unwrap();
    assert_eq!(admitted(&open, None, Needs::READ), main(Scopes::up_to(Scope::Admin)));

    let settings =
        AccessSettings { tokens: Some(world.file.clone()), open_wire: true, ..AccessSettings::open() };
    let open_wire = Access::new(settings).unwrap();
    assert_eq!(admitted(&open_wire, None, Needs::Wire(Scope::Control)), main(control));
    assert_eq!(admitted(&open_wire, None, Needs::READ), None);
    assert_eq!(control.names().collect::<Vec<_>>(), ["read", "control"]);
}
