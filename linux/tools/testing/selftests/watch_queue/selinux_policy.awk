# SPDX-License-Identifier: GPL-2.0
# Make of the kernel's dummy policy one for the tests here:
#
#	mdp /dev/stdout /dev/null | awk -f selinux_policy.awk >policy.conf
#	checkpolicy -o binary policy.conf
#	cat binary >/sys/fs/selinux/load	# in one write()
#
# (mdp is in scripts/selinux/mdp of the built kernel.)  Every type may do
# everything to every other, but the domains no_*_t lack one permission each.
# The kernel and tracefs have types of their own.

# An older checkpolicy does not know all of them, and none matters here.
/^policycap / { next }

/^type base_t;/ {
	print "attribute any;"
	print "type base_t, any;"
	print "type kernel_t, any;"
	print "type tracefs_t, any;"
	print "type no_key_view_t, any;"
	print "type no_kernel_key_view_t, any;"
	print "type no_watch_mount_t, any;"
	print "type no_watch_sb_t, any;"
	print "type no_watch_tracefs_t, any;"
	print "type no_watch_all_sb_t, any;"
	print "type no_watch_block_t, any;"
	print "type no_watch_all_block_t, any;"
	next
}

/^role base_r types/ { print "role base_r types any;"; next }

/^allow base_t base_t:key / {
	print "allow { any -no_key_view_t -no_kernel_key_view_t } any:key *;"
	print "allow { no_key_view_t no_kernel_key_view_t } any:key ~view;"
	print "allow no_kernel_key_view_t { any -kernel_t }:key view;"
	next
}

/^allow base_t base_t:dir / {
	print "allow { any -no_watch_mount_t } any:dir *;"
	print "allow no_watch_mount_t any:dir ~watch_mount;"
	next
}

/^allow base_t base_t:filesystem / {
	print "allow { any -no_watch_sb_t -no_watch_tracefs_t -no_watch_all_sb_t } any:filesystem *;"
	print "allow { no_watch_sb_t no_watch_tracefs_t no_watch_all_sb_t } any:filesystem ~watch;"
	print "allow no_watch_sb_t kernel_t:filesystem watch;"
	print "allow no_watch_tracefs_t { any -tracefs_t }:filesystem watch;"
	print "allow no_watch_all_sb_t { any -kernel_t }:filesystem watch;"
	next
}

/^allow base_t base_t:blk_file / {
	print "allow { any -no_watch_block_t -no_watch_all_block_t } any:blk_file *;"
	print "allow { no_watch_block_t no_watch_all_block_t } any:blk_file ~watch;"
	print "allow no_watch_block_t kernel_t:blk_file watch;"
	print "allow no_watch_all_block_t { any -kernel_t }:blk_file watch;"
	next
}

/^allow base_t base_t:/ { sub(/base_t base_t/, "any any") }
/^sid kernel .*base_t/ { sub(/base_t/, "kernel_t") }
/^genfscon tracefs / { sub(/base_t/, "tracefs_t") }
{ print }
