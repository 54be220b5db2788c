use maud::{Markup, html};

/// What is wrong with a form: a sentence, and the field that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The field's name; empty if it is about the whole form.
    pub(crate) field: &'static str,
    pub(crate) sentence: String,
}

impl Complaint {
    pub(crate) fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            field,
            sentence: sentence.into(),
        }
    }
}

/// A labelled input.
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'a str,
    pub(super) kind: &'a str,
    pub(super) value: &'a str,
    pub(super) autocomplete: &'a str,
    /// One sentence that stands under the label.
    pub(super) hint: &'a str,
    /// What stands behind the input, such as `@example.org`.
    pub(super) suffix: &'a str,
    pub(super) focus: bool,
}

impl Field<'_> {
    pub(super) fn render(&self, complaints: &[Complaint]) -> Markup {
        let complaint = complaints
            .iter()
            .find(|complaint| complaint.field == self.name);
        let (hint, fault) = (
            format!("{}-hint", self.name),
            format!("{}-fault", self.name),
        );
        let described = [
            (!self.hint.is_empty()).then_some(hint.as_str()),
            complaint.map(|_| fault.as_str()),
        ];
        let described = described
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
        // the first thing to correct has the focus
        let worst = complaints
            .iter()
            .find(|complaint| !complaint.field.is_empty());
        let focus = worst.map_or(self.focus, |complaint| complaint.field == self.name);
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p.hint id=(hint) { (self.hint) } }
                @if let Some(complaint) = complaint { p.fault id=(fault) { (complaint.sentence) } }
                div.input {
                    input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) required
                        autocomplete=(self.autocomplete) autocapitalize="none" spellcheck="false"
                        aria-describedby=[(!described.is_empty()).then_some(described)]
                        aria-invalid=[complaint.map(|_| "true")] autofocus[focus];
                    @if !self.suffix.is_empty() { span.suffix aria-hidden="true" { (self.suffix) } }
                }
            }
        }
    }
}

/// The box above a form that names what is wrong, each sentence a link to its field.
pub(super) fn summary(complaints: &[Complaint]) -> Markup {
    html! {
        @if !complaints.is_empty() {
            div.note.bad role="alert" {
                @for complaint in complaints {
                    p {
                        @if complaint.field.is_empty() { (complaint.sentence) }
                        @else { a href={ "#" (complaint.field) } { (complaint.sentence) } }
                    }
                }
            }
        }
    }
}

/// The title of a page whose form has to be corrected says so first: it is what a screen reader reads first.
pub(super) fn title(title: &str, complaints: &[Complaint]) -> String {
    if complaints.is_empty() {
        title.into()
    } else {
        format!("Please correct: {title}")
    }
}
