//! `Decode`: types that minicbor's `Encode` writes.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, Ident, LitInt, LitStr, Member, Type, Variant};

pub(crate) fn implementation(input: &DeriveInput) -> Result<Tokens, Error> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "stored types have no parameters"));
    }
    let form = Form::of(&input.attrs)?;
    match &input.data {
        Data::Struct(data) if form == Form::Transparent => transparent(&input.ident, &data.fields),
        Data::Struct(data) => members(&input.ident, &data.fields, &form),
        Data::Enum(data) => variants(&input.ident, data, &form),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union is not stored")),
    }
}

/// How a type is stored.
#[derive(PartialEq, Eq)]
enum Form {
    /// A struct as a list, a variant as its number and the list of its fields.
    Plain,
    /// A struct as a map.
    Map,
    /// As its only field.
    Transparent,
    /// A variant as one list: its number, then its fields.
    Flat,
    /// A variant without fields as its number.
    Index,
}

impl Form {
    fn of(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut form = Self::Plain;
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cbor")) {
            attribute.parse_nested_meta(|meta| {
                let forms = [
                    ("map", Self::Map),
                    ("transparent", Self::Transparent),
                    ("flat", Self::Flat),
                    ("index_only", Self::Index),
                ];
                let found = forms.into_iter().find(|(word, _)| meta.path.is_ident(word));
                form = found.ok_or_else(|| meta.error("this reader does not know the attribute"))?.1;
                Ok(())
            })?;
        }
        Ok(form)
    }
}

fn transparent(name: &Ident, fields: &Fields) -> Result<Tokens, Error> {
    let Some((place, Field { ty, .. })) = fields.members().zip(fields).next().filter(|_| fields.len() == 1) else {
        return Err(Error::new_spanned(name, "what is transparent has one field"));
    };
    Ok(quote! {
        impl ::tollgate_core::codec::Decode for #name {
            const OPTIONAL: bool = <#ty as ::tollgate_core::codec::Decode>::OPTIONAL;

            fn blank() -> Self {
                Self { #place: ::tollgate_core::codec::Decode::blank() }
            }

            fn decode(
                &mut self,
                reader: &mut ::tollgate_core::codec::Reader<'_>,
            ) -> ::core::result::Result<(), ::tollgate_core::codec::Failed> {
                ::tollgate_core::codec::Decode::decode(&mut self.#place, reader)
            }
        }
    })
}

fn members(name: &Ident, fields: &Fields, form: &Form) -> Result<Tokens, Error> {
    let numbered = fields.members().zip(fields).map(|(place, field)| Numbered::of(place, field));
    let members = numbered.collect::<Result<Vec<_>, _>>()?;
    let blanks = members.iter().map(Numbered::blank);
    let required = members.iter().map(Numbered::required);
    let (numbers, places) = (members.iter().map(|m| &m.number), members.iter().map(|m| &m.place));
    let read = if *form == Form::Map { quote!(members) } else { quote!(entries) };
    Ok(quote! {
        impl ::tollgate_core::codec::Members for #name {
            fn member(
                &mut self,
                number: u64,
                reader: &mut ::tollgate_core::codec::Reader<'_>,
            ) -> ::core::result::Result<bool, ::tollgate_core::codec::Failed> {
                match number {
                    #( #numbers => ::tollgate_core::codec::Decode::decode(&mut self.#places, reader)?, )*
                    _ => return ::core::result::Result::Ok(false),
                }
                ::core::result::Result::Ok(true)
            }
        }

        impl ::tollgate_core::codec::Decode for #name {
            fn blank() -> Self {
                Self { #( #blanks, )* }
            }

            fn decode(
                &mut self,
                reader: &mut ::tollgate_core::codec::Reader<'_>,
            ) -> ::core::result::Result<(), ::tollgate_core::codec::Failed> {
                const REQUIRED: u64 = 0 #( | #required )*;
                reader.#read(self, REQUIRED)
            }
        }
    })
}

fn variants(name: &Ident, data: &DataEnum, form: &Form) -> Result<Tokens, Error> {
    let all = data.variants.iter().map(NumberedVariant::of).collect::<Result<Vec<_>, _>>()?;
    let first = all.first().ok_or_else(|| Error::new_spanned(name, "it has no variant"))?;
    let blank = first.blank();
    let reads = all.iter().map(NumberedVariant::read);
    let (begin, end) = match form {
        Form::Index => (quote!(let number = reader.number()?;), quote!(::core::result::Result::Ok(()))),
        _ => {
            let flat = *form == Form::Flat;
            (quote!(let (number, mut left) = reader.variant(#flat)?;), quote!(reader.rest(left)))
        }
    };
    Ok(quote! {
        impl ::tollgate_core::codec::Decode for #name {
            fn blank() -> Self {
                #blank
            }

            fn decode(
                &mut self,
                reader: &mut ::tollgate_core::codec::Reader<'_>,
            ) -> ::core::result::Result<(), ::tollgate_core::codec::Failed> {
                #begin
                *self = match number {
                    #( #reads )*
                    _ => return reader.fail("a known variant"),
                };
                #end
            }
        }
    })
}

/// A member, by its attributes.
struct Numbered<'f> {
    place: Member,
    kind: &'f Type,
    number: LitInt,
    /// Whether it has its default if it is absent.
    is_omitted: bool,
    /// Whether its blank value is what it is if it is absent.
    has_nil: bool,
}

impl<'f> Numbered<'f> {
    fn of(place: Member, field: &'f Field) -> Result<Self, Error> {
        let (mut number, mut is_omitted, mut has_nil) = (None::<LitInt>, false, false);
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
                        is_omitted = true;
                    } else if meta.path.is_ident("with") {
                        // How it is written; its type says how it is read.
                        meta.value()?.parse::<LitStr>()?;
                    } else if meta.path.is_ident("has_nil") {
                        has_nil = true;
                    } else {
                        return Err(meta.error("this reader does not know the attribute"));
                    }
                    Ok(())
                })?;
            }
        }
        let number = number.ok_or_else(|| Error::new_spanned(field, "a member has a number: #[n(0)]"))?;
        if number.base10_parse::<u32>()? >= 64 {
            return Err(Error::new_spanned(number, "the reader notes 64 members"));
        }
        Ok(Self { place, kind: &field.ty, number, is_omitted, has_nil })
    }

    fn blank(&self) -> Tokens {
        let place = &self.place;
        match self.is_omitted {
            true => quote!(#place: ::core::default::Default::default()),
            false => quote!(#place: ::tollgate_core::codec::Decode::blank()),
        }
    }

    /// Its bit, if it has to be there.
    fn required(&self) -> Tokens {
        let (kind, number) = (self.kind, &self.number);
        match self.is_omitted || self.has_nil {
            true => quote!(0),
            false => quote!((!<#kind as ::tollgate_core::codec::Decode>::OPTIONAL as u64) << #number),
        }
    }
}

/// A variant and its fields.
struct NumberedVariant<'v> {
    name: &'v Ident,
    number: LitInt,
    fields: Vec<(Member, &'v Type)>,
}

impl<'v> NumberedVariant<'v> {
    fn of(variant: &'v Variant) -> Result<Self, Error> {
        let attribute = variant.attrs.iter().find(|attribute| attribute.path().is_ident("n"));
        let number = attribute.ok_or_else(|| Error::new_spanned(variant, "a variant has a number: #[n(0)]"))?;
        let numbered = variant.fields.members().zip(&variant.fields).map(|(place, field)| Numbered::of(place, field));
        let mut fields = numbered.collect::<Result<Vec<_>, _>>()?;
        fields.sort_by_key(|field| field.number.base10_parse::<u32>().unwrap_or_default());
        let in_order = fields.iter().enumerate().all(|(at, field)| field.number.base10_digits() == at.to_string());
        if !in_order {
            return Err(Error::new_spanned(variant, "the fields of a variant are numbered from 0"));
        }
        let fields = fields.into_iter().map(|field| (field.place, field.kind)).collect();
        Ok(Self { name: &variant.ident, number: number.parse_args()?, fields })
    }

    fn blank(&self) -> Tokens {
        let (name, places) = (self.name, self.fields.iter().map(|(place, _)| place));
        quote!(Self::#name { #( #places: ::tollgate_core::codec::Decode::blank(), )* })
    }

    fn read(&self) -> Tokens {
        let (number, name) = (&self.number, self.name);
        let (places, types): (Vec<_>, Vec<_>) = self.fields.iter().cloned().unzip();
        let values: Vec<_> = (0..places.len()).map(|at| format_ident!("field_{at}")).collect();
        quote! {
            #number => {
                #(
                    let mut #values = <#types as ::tollgate_core::codec::Decode>::blank();
                    if reader.field(&mut left, <#types as ::tollgate_core::codec::Decode>::OPTIONAL)? {
                        ::tollgate_core::codec::Decode::decode(&mut #values, reader)?;
                    }
                )*
                Self::#name { #( #places: #values, )* }
            }
        }
    }
}
