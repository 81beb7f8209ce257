//! Forwards methods of [`Repository`](super::Repository) from a decorator to the repository behind it.

/// Implements methods of [`Repository`](crate::repository::Repository) by calling those of a field, inside
/// `#[async_trait] impl Repository for …`. The signatures are what `async_trait` generates, so forwarding a call costs
/// nothing.
macro_rules! forward_to_repository {
    ($field:tt: $($method:ident),+) => {
        $($crate::repository::forward_to_repository!(@$method $field);)+
    };
    (@get $field:tt) => {
        $crate::repository::forward_to_repository!(@of_record $field get(key: str) -> Option<$crate::repository::Versioned>);
    };
    (@insert $field:tt) => {
        $crate::repository::forward_to_repository!(
            @of_record $field insert(record: $crate::repository::Record) -> $crate::repository::Write
        );
    };
    (@replace $field:tt) => {
        $crate::repository::forward_to_repository!(
            @of_record $field
            replace(record: $crate::repository::Record, read: $crate::repository::Version) -> $crate::repository::Write
        );
    };
    (@take $field:tt) => {
        $crate::repository::forward_to_repository!(@of_record $field take(key: str) -> Option<$crate::repository::Record>);
    };
    (@list $field:tt) => {
        $crate::repository::forward_to_repository!(
            @of_record $field list(page: $crate::repository::Page) -> Vec<$crate::repository::Record>
        );
    };
    (@purge_expired $field:tt) => {
        $crate::repository::forward_to_repository!(@of_all $field purge_expired(now: $crate::clock::UnixTime) -> u64);
    };
    (@ping $field:tt) => {
        $crate::repository::forward_to_repository!(@of_all $field ping() -> ());
    };
    (@warnings $field:tt) => {
        $crate::repository::forward_to_repository!(@of_all $field warnings() -> Vec<String>);
    };
    (@atomicity $field:tt) => {
        fn atomicity(&self) -> $crate::repository::Atomicity {
            self.$field.atomicity()
        }
    };
    (@of_record $field:tt $method:ident($of:ident: $borrowed:ty $(, $read:ident: $version:ty)?) -> $answer:ty) => {
        fn $method<'own, 'of, 'call>(
            &'own self,
            kind: $crate::repository::Kind,
            $of: &'of $borrowed,
            $($read: $version,)?
            now: $crate::clock::UnixTime,
        ) -> $crate::repository::Answering<'call, $answer>
        where
            'own: 'call,
            'of: 'call,
            Self: 'call,
        {
            self.$field.$method(kind, $of, $($read,)? now)
        }
    };
    (@of_all $field:tt $method:ident($($now:ident: $time:ty)?) -> $answer:ty) => {
        fn $method<'own, 'call>(&'own self, $($now: $time)?) -> $crate::repository::Answering<'call, $answer>
        where
            'own: 'call,
            Self: 'call,
        {
            self.$field.$method($($now)?)
        }
    };
}

pub(crate) use forward_to_repository;
