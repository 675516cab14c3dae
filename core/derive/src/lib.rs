//! `#[derive(DecodeMembers)]`: reads a struct that minicbor's `Encode` writes as a map of numbered members.
//!
//! minicbor's own `Decode` writes the code of every member twice, for maps with and without their length, and once more for
//! unknown variants. Settings are most of what a Worker's module decodes, so the reader here is one function for all structs
//! (`tollgate_core::codec::members`), to which each struct lends only what its members are. It reads the same attributes: `n`,
//! `skip_if`, `decode_with`, `with` and `has_nil`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Error, ExprPath, Field, Fields, LitInt, LitStr, Type, parse_macro_input};

/// Implements `minicbor::Decode` for a struct with named members and `#[cbor(map)]`.
#[proc_macro_derive(DecodeMembers, attributes(n, cbor))]
pub fn decode_members(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implementation(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn implementation(input: &DeriveInput) -> Result<Tokens, Error> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "only a struct has members"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "members have names"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "settings have no parameters"));
    }
    let members = fields.named.iter().map(Member::of).collect::<Result<Vec<_>, _>>()?;
    let name = &input.ident;
    let title = name.to_string();
    let (places, types) = (members.iter().map(|m| &m.field.ident), members.iter().map(|m| &m.field.ty));
    let reads = members.iter().map(Member::read);
    let values = members.iter().map(|member| member.value(&title));
    Ok(quote! {
        impl<'bytes, Context> ::minicbor::Decode<'bytes, Context> for #name {
            fn decode(
                decoder: &mut ::minicbor::Decoder<'bytes>,
                context: &mut Context,
            ) -> ::core::result::Result<Self, ::minicbor::decode::Error> {
                #( let mut #places: ::core::option::Option<#types> = ::core::option::Option::None; )*
                ::tollgate_core::codec::members(decoder, &mut |decoder, number| {
                    match number {
                        #(#reads)*
                        _ => return ::core::result::Result::Ok(false),
                    }
                    ::core::result::Result::Ok(true)
                })?;
                ::core::result::Result::Ok(Self { #(#values)* })
            }
        }
    })
}

/// A member, by its attributes.
struct Member<'f> {
    field: &'f Field,
    number: LitInt,
    /// The function that reads it, unless its type does.
    read: Option<ExprPath>,
    /// What it is if it is absent.
    absent: Absent,
}

enum Absent {
    /// An error, unless its type has a value for it.
    Missing,
    /// Its default.
    Default,
    /// What this function answers.
    Nil(ExprPath),
}

impl<'f> Member<'f> {
    fn of(field: &'f Field) -> Result<Self, Error> {
        let (mut number, mut read, mut module, mut has_nil, mut absent) = (None, None, None, false, Absent::Missing);
        for attribute in &field.attrs {
            if attribute.path().is_ident("n") {
                number = Some(attribute.parse_args()?);
            } else if attribute.path().is_ident("cbor") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("n") {
                        let content;
                        syn::parenthesized!(content in meta.input);
                        number = Some(content.parse()?);
                    } else if meta.path.is_ident("skip_if") {
                        meta.value()?.parse::<LitStr>()?;
                        absent = Absent::Default;
                    } else if meta.path.is_ident("decode_with") {
                        read = Some(meta.value()?.parse::<LitStr>()?.parse::<ExprPath>()?);
                    } else if meta.path.is_ident("with") {
                        module = Some(meta.value()?.parse::<LitStr>()?);
                    } else if meta.path.is_ident("has_nil") {
                        has_nil = true;
                    } else {
                        return Err(meta.error("this reader does not know the attribute"));
                    }
                    Ok(())
                })?;
            }
        }
        if let Some(module) = module {
            let function = |name: &str| syn::parse_str(&format!("{}::{name}", module.value()));
            read = Some(function("decode")?);
            if has_nil {
                absent = Absent::Nil(function("nil")?);
            }
        }
        let number = number.ok_or_else(|| Error::new_spanned(field, "a member has a number: #[n(0)]"))?;
        Ok(Self { field, number, read, absent })
    }

    fn read(&self) -> Tokens {
        let (number, place) = (&self.number, &self.field.ident);
        let read = self.read.as_ref().map_or_else(|| quote!(::minicbor::Decode::decode), |read| quote!(#read));
        quote!(#number => #place = ::core::option::Option::Some(#read(decoder, context)?),)
    }

    fn value(&self, title: &str) -> Tokens {
        let (number, place, kind) = (&self.number, &self.field.ident, &self.field.ty);
        let missing = quote!(::tollgate_core::codec::missing(#title, #number));
        let value = match &self.absent {
            Absent::Default => quote!(#place.unwrap_or_default()),
            Absent::Nil(nil) => quote!(#place.or_else(#nil).ok_or_else(|| #missing)?),
            Absent::Missing if is_option(kind) => quote!(#place.flatten()),
            Absent::Missing => quote!(#place.ok_or_else(|| #missing)?),
        };
        quote!(#place: #value,)
    }
}

fn is_option(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}
