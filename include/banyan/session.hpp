#pragma once

/// \file
/// The room `session`: what a service knows of its users between two requests, kept outside the process or signed and
/// carried by the client.

#include <banyan/session/memory_session_backend.hpp>
#include <banyan/session/message_authenticator.hpp>
#include <banyan/session/rotate_options.hpp>
#include <banyan/session/session_backend.hpp>
#include <banyan/session/session_codec.hpp>
#include <banyan/session/session_errc.hpp>
#include <banyan/session/session_failure.hpp>
#include <banyan/session/session_id.hpp>
#include <banyan/session/session_options.hpp>
#include <banyan/session/session_record.hpp>
#include <banyan/session/session_stats.hpp>
#include <banyan/session/session_store.hpp>
#include <banyan/session/session_time.hpp>
#include <banyan/session/signed_token.hpp>
#include <banyan/session/signed_token_options.hpp>
#include <banyan/session/signed_tokens.hpp>
#include <banyan/session/stored_session.hpp>
#include <banyan/session/system_random.hpp>
#include <banyan/session/token_errc.hpp>
#include <banyan/session/token_key.hpp>
