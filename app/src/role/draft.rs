//! Conversion of a role between its form and the engine.

use super::server::RoleForm;
use domain::{
    key::{ModelName, RoleKey},
    problem::Problem,
    view::{Role, RoleDraft},
};

impl RoleForm {
    pub fn of(role: &Role) -> Self {
        Self {
            key: role.key.to_string(),
            name: role.name.clone(),
            base_prompt: role.base_prompt.clone(),
            model: role.model.to_string(),
            temperature: role.temperature.map(|value| value.to_string()).unwrap_or_default(),
            max_tokens: role.max_tokens.map(|value| value.to_string()).unwrap_or_default(),
            tools: role.tools.join(", "),
        }
    }

    /// Reads the form's current values in the browser.
    pub fn in_page(form: &web_sys::HtmlFormElement) -> Self {
        let data = web_sys::FormData::new_with_form(form).ok();
        let text = |name: &str| {
            let value = data.as_ref().map(|data| data.get(&format!("role[{name}]")));
            value.and_then(|value| value.as_string()).unwrap_or_default()
        };
        Self {
            key: text("key"),
            name: text("name"),
            base_prompt: text("base_prompt"),
            model: text("model"),
            temperature: text("temperature"),
            max_tokens: text("max_tokens"),
            tools: text("tools"),
        }
    }

    /// The draft for the engine, or the problems of the fields. An empty key is derived from the name.
    pub fn draft(&self) -> Result<RoleDraft, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut refuse = |path: &str, message: String| problems.push(Problem::new(path, message));
        let name = self.name.trim();
        if name.is_empty() {
            refuse("name", "give the role a name".into());
        }
        let key = match self.key.trim() {
            "" => Ok(RoleKey::from_title(&name.replace(' ', "_"))),
            key => RoleKey::parse(key),
        };
        if let Err(error) = &key {
            refuse("key", error.to_string());
        }
        let model = match self.model.trim() {
            "" => {
                refuse("model", "choose a model".into());
                None
            }
            model => ModelName::parse(model).map_err(|error| refuse("model", error.to_string())).ok(),
        };
        let temperature = match self.temperature.trim() {
            "" => None,
            text => match text.parse::<f64>() {
                Ok(value) if (0.0..=2.0).contains(&value) => Some(value),
                _ => {
                    refuse("temperature", "give a number from 0 to 2, or leave it empty".into());
                    None
                }
            },
        };
        let max_tokens = match self.max_tokens.trim() {
            "" => None,
            text => match text.parse::<u32>() {
                Ok(value) if value > 0 => Some(value),
                _ => {
                    refuse("maxTokens", "give a whole number above 0, or leave it empty".into());
                    None
                }
            },
        };
        match (key, model) {
            (Ok(key), Some(model)) if problems.is_empty() => Ok(RoleDraft {
                key,
                name: name.to_owned(),
                base_prompt: self.base_prompt.replace("\r\n", "\n"),
                model,
                temperature,
                max_tokens,
                tools: words(&self.tools),
            }),
            _ => Err(problems),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> RoleForm {
        RoleForm { name: "Senior reviewer".into(), model: "local/smollm2".into(), ..RoleForm::default() }
    }

    #[test]
    fn a_key_is_made_of_the_name_and_empty_parameters_are_none() {
        let draft = form().draft().unwrap();
        assert_eq!(draft.key.as_str(), "senior_reviewer");
        assert_eq!((draft.temperature, draft.max_tokens), (None, None));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let form = RoleForm {
            key: "Big".into(),
            name: " ".into(),
            model: "smollm2".into(),
            temperature: "warm".into(),
            max_tokens: "0".into(),
            ..RoleForm::default()
        };
        let paths: Vec<_> = form.draft().unwrap_err().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["name", "key", "model", "temperature", "maxTokens"]);
    }
}
