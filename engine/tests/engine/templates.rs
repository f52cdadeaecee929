//! Templates: validated, versioned, and without roles.

use crate::staff::Staff;
use domain::{
    key::{RoleKey, TemplateKey},
    template::shipped,
    view::{LiveFrame, Subject},
};
use engine::{Cursor, Error, Format};
use futures::StreamExt;
use std::collections::BTreeMap;

const SOURCE: &str = "\
# kept: a comment
apiVersion: troupe/v1
key: greet
name: Greet
steps:
  - name: Say
    prompt: 'Say hello to {{ context.input }}'
";

fn key(key: &str) -> TemplateKey {
    TemplateKey::parse(key).unwrap()
}

#[tokio::test]
async fn a_template_is_kept_as_it_was_written() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let made = engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    assert_eq!((made.version, made.newest, made.source.as_str()), (1, 1, SOURCE));
    assert_eq!(made.versions[0].by, "editor");
    let read = engine.template(&viewer, &project, &key("greet"), None).await.unwrap();
    assert_eq!(read, made);
    assert_eq!(engine.template(&viewer, &project, &key("greet"), Some(1)).await.unwrap(), made);
    let missing = engine.template(&viewer, &project, &key("greet"), Some(7)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no template 'greet@7'");

    let json = serde_json::to_string(&made.document).unwrap().replace("\"greet\"", "\"greet-json\"");
    let from_json = engine.create_template(&editor, &project, &json, Format::Json).await.unwrap();
    assert_eq!(from_json.document.steps, made.document.steps);
    assert!(from_json.source.starts_with("apiVersion: troupe/v1\n"), "{}", from_json.source);
}

#[tokio::test]
async fn each_change_is_a_version_and_stale_ones_are_refused() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    let update = async |source: &str, based_on| {
        engine.update_template(&editor, &project, &key("greet"), source, Format::Yaml, based_on).await
    };
    let politer = SOURCE.replace("hello", "good day");
    let second = update(&politer, Some(1)).await.unwrap();
    assert_eq!((second.version, second.newest), (2, 2));
    let versions: Vec<_> = second.versions.iter().map(|version| version.version).collect();
    assert_eq!(versions, [2, 1]);
    assert!(matches!(update(SOURCE, Some(1)).await, Err(Error::Stale { newest: 2 })));
    assert_eq!(update(&politer, None).await.unwrap().version, 2, "nothing changed");
    assert_eq!(
        update(&politer.replace("kept", "new"), None).await.unwrap().version,
        3,
        "a comment is a change"
    );
    let first = engine.template(&editor, &project, &key("greet"), Some(1)).await.unwrap();
    assert_eq!((first.source.as_str(), first.newest), (SOURCE, 3));
    let (third, fourth) = (SOURCE.replace("hello", "3"), SOURCE.replace("hello", "4"));
    let (one, other) = tokio::join!(update(&third, Some(3)), update(&fourth, Some(3)));
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Stale { newest: 4 }]), "{refused:?}");
    let renamed = update(&SOURCE.replace("key: greet", "key: other"), None).await.unwrap_err();
    assert_eq!(renamed.to_string(), "key: a template keeps its key: 'greet'");
}

#[tokio::test]
async fn a_key_is_taken_once_and_ask_is_reserved() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let make = || engine.create_template(&editor, &project, SOURCE, Format::Yaml);
    let (one, other) = tokio::join!(make(), make());
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Conflict(_)]), "{refused:?}");
    engine.delete_template(&editor, &project, &key("greet")).await.unwrap();
    let gone = engine.template(&viewer, &project, &key("greet"), None).await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no template 'greet'");
    make().await.unwrap();
    let reserved = engine.create_template(&editor, &project, shipped::ASK, Format::Yaml).await.unwrap_err();
    assert_eq!(reserved.to_string(), "key: the key 'ask' is reserved for free text in conversations");
}

#[tokio::test]
async fn copies_get_free_keys_and_keep_comments() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    let copy = async || engine.duplicate_template(&editor, &project, &key("greet")).await.unwrap();
    let (first, second) = (copy().await, copy().await);
    assert_eq!((first.key.as_str(), second.key.as_str()), ("greet-copy", "greet-copy-2"));
    assert_eq!(first.document.name, "Greet (copy)");
    assert!(first.source.starts_with("# kept: a comment\n"), "{}", first.source);
    let listed = engine.templates(&viewer, &project, None).await.unwrap().items;
    let keys: Vec<_> = listed.iter().map(|template| template.key.as_str()).collect();
    assert_eq!(keys, ["greet-copy-2", "greet-copy", "greet"]);
    assert_eq!((listed[2].steps, listed[2].runs, listed[2].updated_by.as_str()), (1, 0, "editor"));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_kept() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let with_role = SOURCE.replace("    prompt", "    role: mentor\n    prompt");
    for bad in [with_role.as_str(), "", "steps: [", "apiVersion: troupe/v2"] {
        let problems = engine
            .check_template(&viewer, &project, bad.to_owned(), Format::Yaml)
            .await
            .unwrap()
            .checked
            .problems;
        assert!(!problems.is_empty(), "{bad}");
        let refused = engine.create_template(&editor, &project, bad, Format::Yaml).await.unwrap_err();
        assert!(matches!(&refused, Error::Invalid(said) if *said == problems), "{refused}");
    }
    let checked =
        engine.check_template(&viewer, &project, SOURCE.to_owned(), Format::Yaml).await.unwrap().checked;
    assert!(checked.template.is_some() && checked.problems.is_empty());
    let large = format!("{SOURCE}#{}", "x".repeat(1_100_000));
    let refused = engine.create_template(&editor, &project, &large, Format::Yaml).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge(_)), "{refused}");
    let refused = engine.check_template(&viewer, &project, large.clone(), Format::Yaml).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))));
    let revised = engine.revise_template(&viewer, &project, checked.template.unwrap(), large).await;
    assert!(matches!(revised, Err(Error::TooLarge(_))));
    assert!(engine.templates(&viewer, &project, None).await.unwrap().items.is_empty());
}

/// A template with the most presets still accepts one that replaces another.
#[tokio::test]
async fn a_full_list_of_presets_takes_what_replaces_one_of_them() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    let roles = |role: &str| BTreeMap::from([("Say".to_owned(), RoleKey::parse(role).unwrap())]);
    let template = key("greet");
    let save = async |name: String, role: &str, replace| {
        engine.save_preset(&editor, &project, &template, &name, roles(role), replace).await
    };
    for number in 1..=100 {
        save(format!("Preset {number}"), "first", false).await.unwrap();
    }
    for (name, replace, why) in [
        ("One more", false, "at most 100 presets"),
        ("One more", true, "at most 100 presets"),
        ("Preset 100", false, "there is a preset 'Preset 100' already"),
    ] {
        let refused = save(name.to_owned(), "second", replace).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{name}: {refused}");
    }
    save("Preset 100".to_owned(), "second", true).await.unwrap();
    let presets = engine.presets(&editor, &project, &template).await.unwrap();
    assert_eq!(presets.len(), 100);
    let replaced: Vec<_> = presets.iter().filter(|preset| preset.roles == roles("second")).collect();
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0].name, "Preset 100");
}

#[tokio::test]
async fn what_cannot_be_executed_yet_can_be_kept() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    let source = SOURCE.replace("    prompt: 'Say hello to {{ context.input }}'", "    uses: approval");
    engine.create_template(&editor, &project, &source, Format::Yaml).await.unwrap();
}

#[tokio::test]
async fn saves_are_seen_by_those_who_follow_the_project() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let from = engine.project_cursor(&viewer, &project).await.unwrap();
    let mut live =
        engine.live(&viewer, &project, Cursor { project: Some(from), ..Cursor::default() }).await.unwrap();
    engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    engine.create_role(&editor, &project, crate::staff::role("mentor")).await.unwrap();
    let mut subjects = Vec::new();
    while subjects.len() < 2 {
        if let (_, LiveFrame::Change { change }) = live.next().await.unwrap().unwrap() {
            subjects.push(change.subject);
        }
    }
    let role = crate::staff::role("mentor").key;
    assert_eq!(subjects, [Subject::Template { key: key("greet") }, Subject::Role { key: role }]);
}

#[tokio::test]
async fn goodbyes_to_what_is_not_there_keep_nobody_from_being_seen() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    engine.create_template(&editor, &project, SOURCE, Format::Yaml).await.unwrap();
    // As many templates as presence can track.
    for invented in 0..2_000 {
        let template = key(&format!("invented-{invented}"));
        engine.leave(&editor, &project, &template, "tab", 1).await.unwrap();
    }
    let here = engine.attend(&editor, &project, &key("greet"), "tab", 1).await.unwrap();
    assert_eq!(here.people.len(), 1);
}
