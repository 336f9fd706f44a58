# Kills, damage, interrupts and full disks, against the built program: tests/resume. By hand and by the thousand: make campaign-kill.
add_executable(resume_test ${CMAKE_CURRENT_SOURCE_DIR}/tests/resume/resume_test.cc)
target_include_directories(resume_test PRIVATE src)
target_link_libraries(resume_test PRIVATE r1 r1_flags GTest::gtest_main fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
target_compile_definitions(resume_test PRIVATE R1_BINARY="$<TARGET_FILE:r1_cli>"
                                               R1_RECIPES="${CMAKE_CURRENT_SOURCE_DIR}/recipes"
                                               R1_RESUME_RECIPE="${CMAKE_CURRENT_SOURCE_DIR}/tests/resume/resume.toml")
add_dependencies(resume_test r1_cli)
add_test(NAME resume COMMAND resume_test)
set_tests_properties(resume PROPERTIES LABELS slow TIMEOUT 900)
