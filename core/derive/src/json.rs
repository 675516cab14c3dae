//! `FromJson`: types that serde's `Serialize` writes.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, Ident, Lit, Type};

pub(crate) fn implementation(input: &DeriveInput) -> Result<Tokens, Error> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "records have no parameters"));
    }
    let rules = TypeRules::of(&input.attrs)?;
    match &input.data {
        Data::Struct(data) if rules.is_transparent => transparent(&input.ident, &data.fields),
        Data::Struct(data) => members(&input.ident, &data.fields, &rules),
        Data::Enum(data) => variants(&input.ident, data, &rules),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union is no record")),
    }
}

/// What serde's attributes of a type say.
#[derive(Default)]
struct TypeRules {
    is_transparent: bool,
    is_strict: bool,
    is_kebab: bool,
}

impl TypeRules {
    fn of(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut rules = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("transparent") {
                rules.is_transparent = true;
            } else if meta.path.is_ident("deny_unknown_fields") {
                rules.is_strict = true;
            } else if meta.path.is_ident("rename_all") && text(meta)? == "kebab-case" {
                rules.is_kebab = true;
            } else {
                return Err(meta.error("this reader does not know the attribute"));
            }
            Ok(())
        })?;
        Ok(rules)
    }
}

fn transparent(name: &Ident, fields: &Fields) -> Result<Tokens, Error> {
    let Some(place) = fields.members().next().filter(|_| fields.len() == 1) else {
        return Err(Error::new_spanned(name, "what is transparent has one field"));
    };
    Ok(quote! {
        impl ::tollgate_core::json::FromJson for #name {
            fn blank() -> Self {
                Self { #place: ::tollgate_core::json::FromJson::blank() }
            }

            fn take(
                &mut self,
                value: ::tollgate_core::json::Value,
            ) -> ::core::result::Result<(), ::tollgate_core::json::Unfit> {
                ::tollgate_core::json::FromJson::take(&mut self.#place, value)
            }
        }
    })
}

fn members(name: &Ident, fields: &Fields, rules: &TypeRules) -> Result<Tokens, Error> {
    let members = fields.iter().map(Member::of).collect::<Result<Vec<_>, _>>()?;
    if members.len() > 64 {
        return Err(Error::new_spanned(name, "the reader notes 64 members"));
    }
    let strict = rules.is_strict;
    let (names, places) = (members.iter().map(|m| m.name(rules)), members.iter().map(|m| m.place));
    let blanks = members.iter().map(Member::blank);
    let required = members.iter().enumerate().map(|(at, member)| member.required(at));
    let numbers = 0..members.len();
    Ok(quote! {
        impl ::tollgate_core::json::Form for #name {
            fn member(
                &mut self,
                at: usize,
                value: ::tollgate_core::json::Value,
            ) -> ::core::result::Result<(), ::tollgate_core::json::Unfit> {
                match at {
                    #( #numbers => ::tollgate_core::json::FromJson::take(&mut self.#places, value), )*
                    _ => ::core::result::Result::Ok(()),
                }
            }
        }

        impl ::tollgate_core::json::FromJson for #name {
            fn blank() -> Self {
                Self { #( #blanks, )* }
            }

            fn take(
                &mut self,
                value: ::tollgate_core::json::Value,
            ) -> ::core::result::Result<(), ::tollgate_core::json::Unfit> {
                const NAMES: ::tollgate_core::json::Names = ::tollgate_core::json::Names {
                    all: &[ #( #names, )* ],
                    required: 0 #( | #required )*,
                    strict: #strict,
                };
                ::tollgate_core::json::form::read_members(self, &NAMES, value)
            }
        }
    })
}

/// Variants without fields, by their names.
fn variants(name: &Ident, data: &DataEnum, rules: &TypeRules) -> Result<Tokens, Error> {
    let variants: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
    if !rules.is_kebab || data.variants.iter().any(|variant| !variant.fields.is_empty()) {
        return Err(Error::new_spanned(name, "only variants without fields, in kebab case, are read"));
    }
    let names = variants.iter().map(|variant| kebab(&variant.to_string()));
    let first = variants.first().ok_or_else(|| Error::new_spanned(name, "it has no variant"))?;
    Ok(quote! {
        impl ::tollgate_core::json::FromJson for #name {
            fn blank() -> Self {
                Self::#first
            }

            fn take(
                &mut self,
                value: ::tollgate_core::json::Value,
            ) -> ::core::result::Result<(), ::tollgate_core::json::Unfit> {
                const ALL: &[#name] = &[ #( #name::#variants, )* ];
                *self = ALL[::tollgate_core::json::form::variant(&[ #( #names, )* ], &value)?];
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// A member, by its attributes.
struct Member<'f> {
    place: &'f Ident,
    kind: &'f Type,
    /// Whether it has its default if it is absent.
    has_default: bool,
}

impl<'f> Member<'f> {
    fn of(field: &'f Field) -> Result<Self, Error> {
        let place = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "members have names"))?;
        let mut has_default = false;
        each(&field.attrs, |meta| {
            if meta.path.is_ident("default") {
                has_default = true;
            } else if meta.path.is_ident("skip_serializing_if") || meta.path.is_ident("serialize_with") {
                // How it is written; its type says how it is read.
                text(meta)?;
            } else {
                return Err(meta.error("this reader does not know the attribute"));
            }
            Ok(())
        })?;
        Ok(Self { place, kind: &field.ty, has_default })
    }

    fn name(&self, rules: &TypeRules) -> String {
        let name = self.place.to_string();
        if rules.is_kebab { name.replace('_', "-") } else { name }
    }

    fn blank(&self) -> Tokens {
        let place = self.place;
        match self.has_default {
            true => quote!(#place: ::core::default::Default::default()),
            false => quote!(#place: ::tollgate_core::json::FromJson::blank()),
        }
    }

    /// Its bit, if it has to be there.
    fn required(&self, at: usize) -> Tokens {
        let kind = self.kind;
        match self.has_default {
            true => quote!(0),
            false => quote!((!<#kind as ::tollgate_core::json::FromJson>::OPTIONAL as u64) << #at),
        }
    }
}

fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let own = |attribute: &&Attribute| attribute.path().is_ident("serde");
    attributes.iter().filter(own).try_for_each(|attribute| attribute.parse_nested_meta(|meta| read(&meta)))
}

/// The text behind `=`.
fn text(meta: &ParseNestedMeta<'_>) -> Result<String, Error> {
    match meta.value()?.parse::<Lit>()? {
        Lit::Str(text) => Ok(text.value()),
        other => Err(Error::new_spanned(other, "a text")),
    }
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}
