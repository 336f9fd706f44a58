// Names under the parent, besides checkpoint-N:
//   checkpoint-N.tmp-PID   being written (or left by a killed process): rubbish
//   checkpoint-N.removing  being removed: rubbish
//   checkpoint-N.replaced  the old checkpoint-N while a new one takes its place, on file systems that cannot swap two
//   names:
//                          rubbish once checkpoint-N is there, else it is checkpoint-N
#include "store/checkpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/quote.h"
#include "base/sys_io.h"

namespace r1 {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kReplaced = ".replaced";
constexpr std::string_view kManifest = "manifest.json";
constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;

// N of "checkpoint-N" as this program writes it (no sign, no leading zeros); -1 otherwise.
int64_t StepOf(std::string_view name) {
  if (name.substr(0, kPrefix.size()) != kPrefix) return -1;
  const std::string_view digits = name.substr(kPrefix.size());
  int64_t step = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool canonical =
      parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size() && std::to_string(step) == digits;
  return canonical && step >= 0 ? step : -1;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view WithoutReplaced(std::string_view name) {
  return EndsWith(name, kReplaced) ? name.substr(0, name.size() - kReplaced.size()) : name;
}

// Files below folder, relative, sorted; folders in `folders`, inner ones first.
Status ListFiles(const std::string& folder, const std::string& prefix, std::vector<std::string>* files,
                 std::vector<std::string>* folders) {
  R1_ASSIGN(const std::vector<std::string> names, ListDir(folder));
  for (const std::string& name : names) {
    const std::string path = JoinPath(folder, name);
    if (IsDir(path)) {
      R1_TRY(ListFiles(path, prefix + name + "/", files, folders));
    } else {
      files->push_back(prefix + name);
    }
  }
  folders->push_back(folder);
  return {};
}

nlohmann::ordered_json ManifestOf(int64_t step, const nlohmann::ordered_json& files) {
  return {{"format", "r1-checkpoint-1"}, {"step", step}, {"files", files}};
}

// A name from a manifest is joined to a path, so it must stay inside the folder.
bool IsInside(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos) return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

// Hashes every file, writes the manifest, syncs everything below folder.
Status Seal(const std::string& folder, int64_t step) {
  std::vector<std::string> files, folders;
  R1_TRY(ListFiles(folder, "", &files, &folders));
  nlohmann::ordered_json entries = nlohmann::ordered_json::object();
  for (const std::string& name : files) {
    R1_CHECK(name != kManifest, "SaveCheckpoint: write_files wrote a manifest.json");
    const std::string path = JoinPath(folder, name);
    R1_TRY(SyncFile(path));
    R1_ASSIGN(const int64_t bytes, FileSize(path));
    R1_ASSIGN(const std::string hash, Sha256OfFile(path));
    entries[name] = {{"bytes", bytes}, {"sha256", hash}};
  }
  KillPoint("checkpoint.before_manifest");
  R1_TRY(WriteFileAtomic(JoinPath(folder, kManifest), ToPrettyText(ManifestOf(step, entries))));
  KillPoint("checkpoint.after_manifest");
  for (const std::string& each : folders) R1_TRY(SyncDir(each));
  KillPoint("checkpoint.after_sync");
  return {};
}

// Gives the sealed folder its name. An existing checkpoint of that name is swapped out, so that one of the two is
// always there.
Status Publish(const std::string& parent, const std::string& temporary, const std::string& final) {
  std::string old;
  if (Exists(final)) {
    if (sys::Exchange(temporary.c_str(), final.c_str()) == 0) {
      old = temporary;
    } else if (errno == EINVAL || errno == ENOSYS) {
      old = final + std::string(kReplaced);
      R1_TRY(RemoveTree(old));
      R1_TRY(RenamePath(final, old));
      KillPoint("checkpoint.between_renames");
      if (Status renamed = RenamePath(temporary, final); !renamed.ok()) {
        (void)RenamePath(old, final);
        return renamed;
      }
    } else {
      return FileError("rename", temporary, errno);
    }
  } else {
    R1_TRY(RenamePath(temporary, final));
  }
  KillPoint("checkpoint.after_rename");
  R1_TRY(SyncDir(parent));
  KillPoint("checkpoint.after_parent_sync");
  return old.empty() ? Status{} : RemoveTree(old);
}

Status CheckSpace(const std::string& parent, const std::string& name, int64_t bytes_hint) {
  if (bytes_hint <= 0) return {};
  R1_ASSIGN(const int64_t free, FreeBytes(parent));
  if (free >= bytes_hint) return {};
  return Error{ErrorCode::kIo,
               fmt::format("cannot save {} in {}: {} needed, {} free there; the checkpoints before it are untouched; "
                           "free some space, or keep fewer checkpoints (--save-total-limit)",
                           name, Quote(parent, 1024), BytesText(bytes_hint), BytesText(free))};
}

}  // namespace

const std::vector<std::string>& CheckpointKillPoints() {
  static const std::vector<std::string>* const points =
      new std::vector<std::string>{"checkpoint.begin",           "checkpoint.after_folder",
                                   "checkpoint.after_files",     "checkpoint.before_manifest",
                                   "checkpoint.after_manifest",  "checkpoint.after_sync",
                                   "checkpoint.after_rename",    "checkpoint.after_parent_sync",
                                   "checkpoint.before_removing", "checkpoint.after_removing_rename",
                                   "checkpoint.after_removing",  "checkpoint.end"};
  return *points;
}

Result<std::vector<CheckpointRef>> ListCheckpoints(const std::string& parent) {
  std::vector<CheckpointRef> found;
  if (!Exists(parent)) return found;
  R1_ASSIGN(const std::vector<std::string> names, ListDir(parent));
  for (const std::string& name : names) {
    const std::string_view original = WithoutReplaced(name);
    const int64_t step = StepOf(original);
    if (original != name && Exists(JoinPath(parent, original))) continue;
    if (step >= 0 && IsDir(JoinPath(parent, name))) found.push_back({JoinPath(parent, name), step});
  }
  std::sort(found.begin(), found.end(), [](const CheckpointRef& a, const CheckpointRef& b) { return a.step < b.step; });
  return found;
}

Status CleanCheckpointLeftovers(const std::string& parent) {
  if (!Exists(parent)) return {};
  R1_ASSIGN(const std::vector<std::string> names, ListDir(parent));
  for (const std::string& name : names) {
    const size_t dot = name.find('.');
    if (dot == std::string::npos || StepOf(std::string_view(name).substr(0, dot)) < 0) continue;
    const std::string path = JoinPath(parent, name), original = JoinPath(parent, name.substr(0, dot));
    if (name.substr(dot) == kReplaced && !Exists(original)) {
      R1_TRY(RenamePath(path, original));
    } else if (name.compare(dot, 5, ".tmp-") == 0 || EndsWith(name, ".removing") || EndsWith(name, kReplaced)) {
      R1_TRY(RemoveTree(path));
    }
  }
  return {};
}

Result<std::string> SaveCheckpoint(const std::string& parent, int64_t step,
                                   const std::function<Status(const std::string& folder)>& write_files,
                                   const SaveOptions& options) {
  R1_CHECK(step >= 0, "SaveCheckpoint: negative step");
  const std::string name = fmt::format("{}{}", kPrefix, step);
  const std::string final = JoinPath(parent, name), temporary = fmt::format("{}.tmp-{}", final, getpid());
  KillPoint("checkpoint.begin");
  R1_TRY(MakeDirs(parent));
  R1_TRY(CleanCheckpointLeftovers(parent));
  R1_TRY(CheckSpace(parent, name, options.bytes_hint));
  R1_TRY(MakeDirs(temporary));
  KillPoint("checkpoint.after_folder");
  const auto write = [&]() -> Status {
    {
      const DeferSync defer(temporary);  // Seal syncs every file once
      R1_TRY(write_files(temporary));
    }
    KillPoint("checkpoint.after_files");
    R1_TRY(Seal(temporary, step));
    return Publish(parent, temporary, final);
  };
  if (Status written = write(); !written.ok()) {
    (void)RemoveTree(temporary);
    return written.error();
  }
  // The new checkpoint is safe from here on: trouble with old ones is told, but is no failure to save.
  if (options.save_total_limit > 0) {
    if (Status removed = RemoveOldCheckpoints(parent, options.save_total_limit, step); !removed.ok()) {
      LogWarn(fmt::format("an old checkpoint could not be removed: {}", removed.error().message));
    }
  }
  KillPoint("checkpoint.end");
  return final;
}

Status RemoveOldCheckpoints(const std::string& parent, int64_t limit, int64_t proved) {
  R1_ASSIGN(std::vector<CheckpointRef> all, ListCheckpoints(parent));
  std::erase_if(all, [&](const CheckpointRef& each) { return each.step == proved; });
  const int64_t surplus = static_cast<int64_t>(all.size()) + 1 - limit;
  for (int64_t i = 0; i < surplus && i < static_cast<int64_t>(all.size()); ++i) {
    const CheckpointRef& oldest = all[static_cast<size_t>(i)];
    const std::string removing = oldest.path + ".removing";
    KillPoint("checkpoint.before_removing");
    R1_TRY(RenamePath(oldest.path, removing));
    KillPoint("checkpoint.after_removing_rename");
    R1_TRY(RemoveTree(removing));
    KillPoint("checkpoint.after_removing");
  }
  return {};
}

Status VerifyCheckpoint(const std::string& path) {
  const std::string manifest_path = JoinPath(path, kManifest);
  const auto damaged = [&](std::string_view file, const std::string& what) {
    return Error{ErrorCode::kBadInput, fmt::format("{} is damaged: {}: {}", Quote(path, 1024), Quote(file), what)};
  };
  const Result<std::string> text = ReadFile(manifest_path, kMaxManifestBytes);
  if (!text.ok()) return damaged(kManifest, text.error().message);
  const Result<nlohmann::json> parsed = ParseJson(*text, manifest_path);
  if (!parsed.ok()) return damaged(kManifest, parsed.error().message);
  const nlohmann::json& manifest = *parsed;
  if (!manifest.is_object() || !manifest.contains("files") || !manifest["files"].is_object() ||
      manifest["files"].empty()) {
    return damaged(kManifest, "it has no list of files");
  }
  // The text must be what this program writes for this step and these files: any changed bit of it shows.
  nlohmann::ordered_json entries = nlohmann::ordered_json::object();
  for (const auto& [name, entry] : manifest["files"].items()) entries[name] = nlohmann::ordered_json::object();
  for (auto& [name, entry] : entries.items()) {
    const nlohmann::json& given = manifest["files"][name];
    if (!IsInside(name) || !given.is_object() || !given.contains("bytes") || !given["bytes"].is_number_integer() ||
        !given.contains("sha256") || !given["sha256"].is_string()) {
      return damaged(kManifest, fmt::format("the entry {} is malformed", Quote(name)));
    }
    entry = {{"bytes", given["bytes"].get<int64_t>()}, {"sha256", given["sha256"].get<std::string>()}};
  }
  if (ToPrettyText(ManifestOf(StepOf(WithoutReplaced(BaseName(path))), entries)) != *text)
    return damaged(kManifest, "it is not as it was written");
  for (const auto& [name, entry] : entries.items()) {
    const std::string file = JoinPath(path, name);
    const Result<int64_t> bytes = FileSize(file);
    if (!bytes.ok()) return damaged(name, bytes.error().message);
    if (*bytes != entry["bytes"].get<int64_t>()) {
      return damaged(name, fmt::format("it has {} bytes, {} were written", *bytes, entry["bytes"].get<int64_t>()));
    }
    R1_ASSIGN(const std::string hash, Sha256OfFile(file));
    if (hash != entry["sha256"].get_ref<const std::string&>()) {
      return damaged(name, fmt::format("its SHA-256 is {}, {} was written", hash, entry["sha256"].get<std::string>()));
    }
  }
  return {};
}

Result<std::optional<CheckpointRef>> FindCheckpoint(const std::string& parent) {
  R1_ASSIGN(const std::vector<CheckpointRef> all, ListCheckpoints(parent));
  if (all.empty()) return std::optional<CheckpointRef>();
  std::string first_error;
  for (auto each = all.rbegin(); each != all.rend(); ++each) {
    const Status verified = VerifyCheckpoint(each->path);
    if (verified.ok()) {
      if (!first_error.empty()) LogWarn(fmt::format("going on from {} instead", Quote(each->path, 1024)));
      return std::optional<CheckpointRef>(*each);
    }
    LogError(verified.error().message);
    if (first_error.empty()) first_error = verified.error().message;
  }
  return Error{ErrorCode::kBadInput, fmt::format("none of the {} checkpoints in {} can be used, e.g. {}; restore one, "
                                                 "or remove them to start from the beginning",
                                                 all.size(), Quote(parent, 1024), first_error)};
}

}  // namespace r1
