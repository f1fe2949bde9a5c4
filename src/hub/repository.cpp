#include "hub/repository.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/strings.h"
#include "capstan/hub/cache.h"

namespace capstan::hub {
namespace {

using Json = nlohmann::json;

// The text at `key`, or "".
std::string text_at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<std::uint64_t> size_at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

RemoteFile read_file_entry(const Json& entry, const std::string& where) {
  RemoteFile file;
  file.name = text_at(entry, "rfilename");
  check_file_name(file.name, where);
  file.size = size_at(entry, "size");
  file.etag = text_at(entry, "blobId");
  if (entry.contains("lfs") && entry["lfs"].is_object()) {
    const Json& large = entry["lfs"];
    file.etag = text_at(large, "sha256").empty() ? text_at(large, "oid") : text_at(large, "sha256");
    if (const auto size = size_at(large, "size")) file.size = size;
  }
  file.checksum = checksum_of_etag(file.etag);
  if (!file.checksum.known()) file.etag.clear();
  return file;
}

// W/"abc" and "abc" -> abc
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool is_error(const Answer& answer, const char* code) {
  const auto found = answer.headers.find("x-error-code");
  return found != answer.headers.end() && found->second == code;
}

}  // namespace

std::string Endpoint::file_url(const std::string& name, const std::string& commit) const {
  return fmt::format("{}/resolve/{}/{}", page(), commit, escape_url(name, true));
}

Revision Endpoint::revision(const std::string& name) const {
  const std::string url =
      fmt::format("{}{}/revision/{}?blobs=true", access_.endpoint, repository_.api_path(), escape_url(name, false));
  const Answer answer = get_text(access_, retry_, url);
  if (answer.status != 200) refuse(answer, name);
  const std::string where = public_url(answer.url);
  const Json info = parse_json(answer.body, where);
  Revision revision;
  revision.commit = text_at(info, "sha");
  if (!is_commit(revision.commit) || !info.contains("siblings") || !info["siblings"].is_array())
    throw DataError(
        fmt::format("{}: expected 'sha', a commit of 40 digits, and 'siblings', a list of files; is {} a "
                    "Hugging Face-compatible endpoint?",
                    where, access_.endpoint));
  for (const auto& entry : info["siblings"]) revision.files.push_back(read_file_entry(entry, where));
  return revision;
}

void Endpoint::complete(RemoteFile& file, const std::string& commit) const {
  if (!file.etag.empty() && file.size) return;
  const std::string url = file_url(file.name, commit);
  const Answer answer = get_headers(access_, retry_, url);
  if (answer.status >= 400) throw DataError(explain_refusal(access_, repository_.id + "/" + file.name, page(), answer));
  const auto first_of = [&](const char* linked, const char* plain) {
    const auto found = answer.headers.find(answer.headers.contains(linked) ? linked : plain);
    return found == answer.headers.end() ? std::string() : found->second;
  };
  file.etag = bare_etag(first_of("x-linked-etag", "etag"));
  file.checksum = checksum_of_etag(file.etag);
  const std::string size =
      answer.status == 200 ? first_of("x-linked-size", "content-length") : first_of("x-linked-size", "x-linked-size");
  std::uint64_t bytes = 0;
  if (!size.empty() && std::from_chars(size.data(), size.data() + size.size(), bytes).ec == std::errc())
    file.size = bytes;
  const std::string served = first_of("x-repo-commit", "x-repo-commit");
  if (!served.empty() && served != commit)
    throw DataError(fmt::format("{}: is of commit {}, expected {}", public_url(url), printable(served), commit));
}

std::vector<std::string> Endpoint::known_revisions() const {
  const Answer answer = get_text(access_, retry_, access_.endpoint + repository_.api_path() + "/refs");
  std::vector<std::string> names;
  if (answer.status != 200) return names;
  const Json refs = parse_json(answer.body, public_url(answer.url));
  for (const char* const kind : {"branches", "tags"})
    if (refs.is_object() && refs.contains(kind) && refs[kind].is_array())
      for (const auto& ref : refs[kind]) names.push_back(printable(text_at(ref, "name"), 80));
  return names;
}

std::vector<std::string> Endpoint::similar_repositories() const {
  const std::string last = repository_.id.substr(repository_.id.rfind('/') + 1);
  const Answer answer = get_text(
      access_, retry_,
      fmt::format("{}/api/{}s?limit=100&search={}", access_.endpoint, repository_.kind, escape_url(last, false)));
  std::vector<std::string> names;
  if (answer.status != 200) return names;
  const Json found = parse_json(answer.body, public_url(answer.url));
  if (!found.is_array()) return names;
  for (const auto& entry : found) names.push_back(printable(text_at(entry, "id"), 120));
  return names;
}

// A second question to be of more help must not hide the first answer.
void Endpoint::refuse(const Answer& answer, const std::string& revision) const {
  std::string help;
  const bool no_revision = is_error(answer, "RevisionNotFound");
  const bool no_repository = answer.status == 404 || is_error(answer, "RepoNotFound");
  try {
    if (no_revision) {
      const auto names = known_revisions();
      const std::string near = did_you_mean(revision, names);
      help = !near.empty() ? near : names.empty() ? "" : " Known: " + join(names, ", ") + ".";
    } else if (no_repository) {
      help = did_you_mean(repository_.id, similar_repositories());
    }
  } catch (const Error&) {
    help.clear();
  }
  if (no_revision) throw DataError(fmt::format("{}: has no revision '{}'.{}", page(), printable(revision), help));
  throw DataError(explain_refusal(access_, repository_.id, page(), answer) + help);
}

}  // namespace capstan::hub
