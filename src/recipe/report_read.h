// Typed reading of the JSON of a run folder for the report. Every failure is kBadInput that names file and line. Get*
// want the member; Optional* take its absence (or null) and leave the default.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "recipe/report_data.h"

namespace r1 {

Error Malformed(const std::string& where, const std::string& what);

// Calls row(object, where) for each line of a JSONL file, at most max_lines of them. An incomplete last line is a note.
Status ReadJsonLines(const std::string& path, std::vector<std::string>* notes, size_t max_lines,
                     const std::function<Status(const nlohmann::json&, const std::string&)>& row);

Status GetNumber(const nlohmann::json& object, const char* key, const std::string& where, double* out);
Status OptionalNumber(const nlohmann::json& object, const char* key, const std::string& where, double* out);
Status OptionalCount(const nlohmann::json& object, const char* key, const std::string& where, int64_t* out);
Status OptionalShare(const nlohmann::json& object, const char* key, const std::string& where, double* out);  // 0 .. 1
Status OptionalAmount(const nlohmann::json& object, const char* key, const std::string& where,
                      double* out);  // 0 .. 1e18
Status GetText(const nlohmann::json& object, const char* key, const std::string& where, std::string* out);
Status OptionalText(const nlohmann::json& object, const char* key, const std::string& where, std::string* out);
// An object of numbers by name; null members are left out.
Status ReadNumberTable(const nlohmann::json& object, const char* key, const std::string& where,
                       std::vector<std::pair<std::string, double>>* out);

// report_pipeline.cc
// "pipeline" of results.json.
Status ReadPipeline(const nlohmann::json& results, const std::string& where, RunData* run);
// The hashes of manifest.json's "stages", put into the pipeline's entries of the same names.
Status ReadStageHashes(const nlohmann::json& manifest, const std::string& where, RunData* run);
// STAGE/stats.json and STAGE/eval.json, those that are there.
Status ReadStageFiles(const std::string& folder, const std::string& stage, RunData* run);

}  // namespace r1
